import { SegueError } from '@segue/core';
import { errorFromResponse } from './errors.js';

export interface TransportOptions {
  /** Where the service is, with a path if it has one there: `https://example.org/segue`. */
  readonly baseUrl: string | URL;
  /** Sent with every request, for instance `Authorization`. */
  readonly headers?: Readonly<Record<string, string>>;
  /** How often a call is tried again that the service could not take; 2 unless given. */
  readonly retries?: number;
  /** Time allowed for calls that do not wait for an answer, in milliseconds; 30 000 unless given. */
  readonly timeoutMs?: number;
  /** Instead of the global `fetch`, for instance one with a proxy. */
  readonly fetch?: typeof fetch;
}

export interface CallOptions {
  /** Gives up; a job that was not submitted is cancelled with it. */
  readonly signal?: AbortSignal;
}

export interface Call<T> {
  readonly method?: 'GET' | 'POST' | 'DELETE';
  /** Relative to the base URL. */
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: FormData | string;
  /** Ends the call, its tries and its waits. A timeout is a deadline, anything else a cancellation. */
  readonly signal: AbortSignal;
  /** Takes the answer in. A connection that breaks meanwhile is a failure like others. */
  readonly read: (response: Response) => Promise<T> | T;
}

const DEFAULT_TIMEOUT_MS = 30_000;
const FIRST_WAIT_MS = 250;
/** Whoever is told to wait longer is asked to decide. */
const LONGEST_WAIT_MS = 30_000;

/** HTTP with the same errors as everywhere: retries, deadline and cancelling included. */
export class Transport {
  readonly #baseUrl: string;
  readonly #headers: Readonly<Record<string, string>>;
  readonly #retries: number;
  readonly #timeoutMs: number;
  readonly #fetch: typeof fetch;

  constructor(options: TransportOptions) {
    this.#baseUrl = `${String(options.baseUrl).replace(/\/+$/, '')}/`;
    this.#headers = options.headers ?? {};
    this.#retries = options.retries ?? 2;
    this.#timeoutMs = options.timeoutMs ?? DEFAULT_TIMEOUT_MS;
    // A browser's fetch must be called without an object before it.
    this.#fetch = options.fetch ?? ((...call) => fetch(...call));
  }

  /** A call that the service answers at once, with JSON. @throws SegueError */
  async json<T>(call: Omit<Call<T>, 'read' | 'signal'> & CallOptions, parse: (body: unknown) => T): Promise<T> {
    const signal = withDeadline(call.signal, this.#timeoutMs);
    return this.send({ ...call, signal, read: async (response) => parse(await response.json()) });
  }

  /**
   * Every call may be repeated: what is read stays the same, pictures are stored under their hash, a submitted job has a
   * key, and one that is waited for ends with its connection.
   * @throws SegueError
   */
  async send<T>(call: Call<T>): Promise<T> {
    const { signal } = call;
    for (let tries = 0; ; tries++) {
      try {
        signal.throwIfAborted();
        return await this.#sendOnce(call);
      } catch (thrown) {
        const error = this.errorOf(thrown, signal);
        const waitMs = tries < this.#retries ? waitBeforeRetry(error, tries) : undefined;
        if (waitMs === undefined) throw error;
        await sleep(waitMs, signal);
        if (signal.aborted) throw isTimeout(signal.reason) ? error : this.errorOf(signal.reason, signal);
      }
    }
  }

  /** What a failure of a call with this signal is to the caller. */
  errorOf(thrown: unknown, signal: AbortSignal): SegueError {
    if (signal.aborted) {
      return isTimeout(signal.reason)
        ? new SegueError('DEADLINE_EXCEEDED', 'The answer did not come in time. Allow more time.', { cause: thrown })
        : new SegueError('CANCELLED', 'The call was cancelled.', { cause: signal.reason });
    }
    if (thrown instanceof SegueError) return thrown;
    const where = 'document' in globalThis ? ", and does it allow this page's origin (CORS)" : '';
    return new SegueError('UNAVAILABLE', `No answer from ${this.#baseUrl}: is the service running there${where}?`, {
      cause: thrown,
    });
  }

  async #sendOnce<T>({ method = 'GET', path, headers, body, signal, read }: Call<T>): Promise<T> {
    const response = await this.#fetch(this.#baseUrl + path, {
      method,
      headers: { ...this.#headers, ...headers },
      signal,
      ...(body !== undefined && { body }),
    });
    if (!response.ok) throw await errorFromResponse(response);
    return await read(response);
  }
}

/** Ends with the given signal, and after this time. */
export function withDeadline(signal: AbortSignal | undefined, limitMs?: number): AbortSignal {
  return AbortSignal.any([
    ...(signal ? [signal] : []),
    ...(limitMs === undefined ? [] : [AbortSignal.timeout(Math.ceil(limitMs))]),
  ]);
}

function isTimeout(reason: unknown): boolean {
  return reason instanceof Error && reason.name === 'TimeoutError';
}

/** Milliseconds, or undefined when trying again makes no sense. What the service says goes before a growing, random wait. */
function waitBeforeRetry({ code, retryAfterMs }: SegueError, tries: number): number | undefined {
  const passes = code === 'UNAVAILABLE' || (code === 'RESOURCE_EXHAUSTED' && retryAfterMs !== undefined);
  const waitMs = retryAfterMs ?? FIRST_WAIT_MS * 2 ** tries * (0.5 + Math.random());
  return passes && waitMs <= LONGEST_WAIT_MS ? waitMs : undefined;
}

/** Ends early, and well, when the signal says so. */
function sleep(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const end = (): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', end);
      resolve();
    };
    const timer = setTimeout(end, ms);
    signal.addEventListener('abort', end, { once: true });
  });
}
