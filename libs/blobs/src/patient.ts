import { setTimeout as sleep } from 'node:timers/promises';
import { SegueError, type Blobs } from '@segue/core';
import { isAway } from './errors.js';

export interface Log {
  readonly info: (fields: Readonly<Record<string, unknown>>, message: string) => void;
  readonly warn: (fields: Readonly<Record<string, unknown>>, message: string) => void;
}

export interface Patience {
  /** How long what passes with time is tried again, in milliseconds; less where a signal ends it. */
  readonly patienceMs: number;
  readonly log: Log;
}

const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 5_000;

/** The same blobs, which ask again while their store is away. It is told of once, and once more when it is back. */
export class PatientBlobs implements Blobs {
  readonly where: string;
  readonly #blobs: Blobs;
  readonly #patience: Patience;
  readonly #closing = new AbortController();
  #away = false;

  constructor(blobs: Blobs, patience: Patience) {
    this.where = blobs.where;
    this.#blobs = blobs;
    this.#patience = patience;
  }

  put(name: string, bytes: Uint8Array, signal?: AbortSignal): Promise<void> {
    return this.#insist(() => this.#blobs.put(name, bytes, signal), signal);
  }

  get(name: string, signal?: AbortSignal): Promise<Buffer | undefined> {
    return this.#insist(() => this.#blobs.get(name, signal), signal);
  }

  delete(name: string): Promise<void> {
    return this.#insist(() => this.#blobs.delete(name));
  }

  list(): AsyncIterable<readonly string[]> {
    return this.#blobs.list();
  }

  problem(access: 'read' | 'write'): Promise<string | undefined> {
    return this.#blobs.problem(access);
  }

  /** Whatever waits for the store fails now. */
  close(): void {
    this.#closing.abort(new SegueError('UNAVAILABLE', 'This process is stopping. Try again in a second.'));
    this.#blobs.close();
  }

  async #insist<T>(ask: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    const { patienceMs, log } = this.#patience;
    const giveUpAt = performance.now() + patienceMs;
    for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(2 * pauseMs, LONGEST_PAUSE_MS)) {
      try {
        const result = await ask();
        if (this.#away) log.info({ where: this.where }, 'the picture store is back');
        this.#away = false;
        return result;
      } catch (error) {
        if (!isAway(error) || this.#closing.signal.aborted || performance.now() + pauseMs > giveUpAt) throw error;
        if (!this.#away) log.warn({ err: error, where: this.where }, 'the picture store is away; trying again');
        this.#away = true;
      }
      const ended = signal ? AbortSignal.any([signal, this.#closing.signal]) : this.#closing.signal;
      await sleep(pauseMs, undefined, { signal: ended }).catch(() => {
        throw ended.reason;
      });
    }
  }
}
