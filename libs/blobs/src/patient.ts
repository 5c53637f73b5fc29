import { insist, SegueError, type Blobs, type Log } from '@segue/core';

export interface PatienceOptions {
  /** How long what passes with time is tried again, in milliseconds; less where a signal ends it. */
  readonly patienceMs: number;
  readonly log: Pick<Log, 'info' | 'warn'>;
}

/** The same blobs, which ask again while their store is away. It is told of once, and once more when it is back. */
export class PatientBlobs implements Blobs {
  readonly where: string;
  readonly #blobs: Blobs;
  readonly #patience: PatienceOptions;
  readonly #closing = new AbortController();
  #away = false;

  constructor(blobs: Blobs, patience: PatienceOptions) {
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
    const ended = this.#closing.signal;
    const result = await insist(ask, {
      patienceMs,
      signal: signal ? AbortSignal.any([signal, ended]) : ended,
      onAway: (error) => {
        if (!this.#away) log.warn({ err: error, where: this.where }, 'the picture store is away; trying again');
        this.#away = true;
      },
    });
    if (this.#away) log.info({ where: this.where }, 'the picture store is back');
    this.#away = false;
    return result;
  }
}
