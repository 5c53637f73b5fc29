import { useSignal } from '@preact/signals';
import { useEffect, useMemo, useRef } from 'preact/hooks';
import type { Album } from '../state/album.js';
import { AskedBefore } from '../state/asked-before.js';

const STAGES = {
  starting: 'Starting a worker …',
  encode: 'Looking at the picture …',
  generate: 'Writing the answer …',
  decode: 'Drawing a mask …',
};

export function AskForm({ album }: { album: Album }) {
  const askedBefore = useMemo(() => new AskedBefore(), []);
  const input = useRef<HTMLInputElement>(null);
  const question = useSignal('');
  const { value: current } = album.current;
  const count = album.conversations.value.length;
  const running = album.running.value;
  useEffect(() => input.current?.focus(), [current]);

  const submit = (event: Event): void => {
    event.preventDefault();
    const instruction = question.value.trim();
    if (instruction === '' || running) return;
    if (!current) return album.complain('Choose a picture first.');
    askedBefore.add(instruction);
    question.value = '';
    void album.ask(instruction);
  };
  const step = (event: KeyboardEvent): void => {
    if (event.key !== 'ArrowUp' && event.key !== 'ArrowDown') return;
    const other = askedBefore.step(event.key === 'ArrowUp' ? 1 : -1, question.value);
    event.preventDefault();
    if (other !== undefined) question.value = other;
  };
  return (
    <>
      <form id="ask" onSubmit={submit}>
        <label class="unseen" for="question">
          Your question
        </label>
        <input
          id="question"
          name="question"
          ref={input}
          autocomplete="off"
          enterkeyhint="send"
          placeholder="What here would keep me dry?"
          required
          value={question.value}
          onInput={(event) => (question.value = event.currentTarget.value)}
          onKeyDown={step}
        />
        {running ? (
          <button id="stop" type="button" onClick={() => void album.stop()}>
            Stop
          </button>
        ) : (
          <button id="send" type="submit">
            Ask
          </button>
        )}
      </form>
      {count > 1 && (
        <label class="switch">
          <input
            id="ask-all"
            type="checkbox"
            checked={album.askAll.value}
            onChange={(event) => (album.askAll.value = event.currentTarget.checked)}
          />
          Ask all {count} pictures
        </label>
      )}
      <p id="progress" role="status">
        {progress(album)}
      </p>
    </>
  );
}

function progress(album: Album): string {
  if (album.opening.value) return 'Opening the picture …';
  const turn = album.current.value?.turns.value.find((candidate) => candidate.running.value);
  if (!turn) return album.running.value ? 'Asking the other pictures …' : '';
  const stage = turn.stage.value;
  return stage ? STAGES[stage] : 'Sending …';
}
