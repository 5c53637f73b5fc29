import { useSignal } from '@preact/signals';
import { keyWanted, takeKey } from '../service/api-key.js';

/** Asks for an API key where the service wants one. */
export function KeyForm({ onGiven }: { readonly onGiven: () => void }) {
  const key = useSignal('');
  if (!keyWanted.value) return null;
  const submit = (event: Event): void => {
    event.preventDefault();
    if (key.value.trim() === '') return;
    takeKey(key.value);
    key.value = '';
    onGiven();
  };
  return (
    <form id="key" onSubmit={submit}>
      <label for="api-key">This service wants an API key. It is kept until you close this tab.</label>
      <input
        id="api-key"
        type="password"
        autocomplete="off"
        required
        value={key.value}
        onInput={(event) => (key.value = event.currentTarget.value)}
      />
      <button type="submit">Use this key</button>
    </form>
  );
}
