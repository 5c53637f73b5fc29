import { signal } from '@preact/signals';

const STORED_AS = 'segue.key';

/** Whether the service has asked for a key, or for another one. */
export const keyWanted = signal(false);

let key = read();

/** What a request must carry for the service to know who asks. */
export function authorization(): Record<string, string> {
  return key === '' ? {} : { authorization: `Bearer ${key}` };
}

/** Kept as long as this tab is open: whoever uses the browser next is somebody else. */
export function takeKey(given: string): void {
  key = given.trim();
  keyWanted.value = false;
  try {
    sessionStorage.setItem(STORED_AS, key);
  } catch {
    // A browser that keeps nothing asks again when the page is loaded again.
  }
}

function read(): string {
  try {
    return sessionStorage.getItem(STORED_AS) ?? '';
  } catch {
    return '';
  }
}
