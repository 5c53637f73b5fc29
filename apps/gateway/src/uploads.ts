import { SegueError, type Tenant } from '@segue/core';
import { Tally } from './tally.js';

const RETRY_AFTER_MS = 1_000;

/** The bytes of one request. */
export interface Upload {
  /** @throws SegueError RESOURCE_EXHAUSTED where there is no room for them. */
  add(bytes: number): void;
  /** To be called once, when the answer has been sent. */
  close(): void;
}

/**
 * Bounds the bytes of requests that this process holds at the same time, from their arrival until their answer has been sent,
 * over both interfaces together: those of all, and those of each tenant that has a limit.
 */
export class Uploads {
  readonly #maxBytes: number;
  readonly #ofTenant = new Tally();
  #held = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  open({ name, limits }: Tenant): Upload {
    let own = 0;
    const change = (bytes: number): void => {
      own += bytes;
      this.#held += bytes;
      this.#ofTenant.add(name, bytes);
    };
    return {
      add: (bytes) => {
        // A single body is always taken, so that no setting makes the service useless.
        const isFull = (held: number, most = Infinity): boolean => held > own && held + bytes > most;
        if (isFull(this.#ofTenant.of(name), limits.uploadBytes)) {
          throw full('You are sending as much at the same time as you may. Send one picture after another.');
        }
        if (isFull(this.#held, this.#maxBytes)) {
          throw full('Too many pictures are being sent at the moment. Try again in a second.');
        }
        change(bytes);
      },
      close: () => change(-own),
    };
  }
}

function full(sentence: string): SegueError {
  return new SegueError('RESOURCE_EXHAUSTED', sentence, { retryAfterMs: RETRY_AFTER_MS });
}
