import type { Answer, JobEvent } from '@segue/core';
import { camelCase, toAnswer, type Model, type StoredImage } from './bodies.js';
import { jobEvents } from './events.js';
import { Jobs } from './jobs.js';
import { imageForm, toForm, type ImageBytes, type SegmentOptions } from './request.js';
import { Transport, withDeadline, type CallOptions, type TransportOptions } from './transport.js';

export type SegueClientOptions = TransportOptions;

/** The service answers a job that ran out of time itself; the call waits a little longer than the job for that. */
const DEADLINE_SLACK_MS = 2_000;

/**
 * Asks Segue about pictures, from Node and from browsers. Masks arrive as COCO RLE (`decodeMask` makes pixels of them).
 * Every failure is a `SegueError`, with a code, and a message that says what to do. What the service cannot take now is
 * sent again, after the time that it names.
 *
 * ```ts
 * const client = new SegueClient({ baseUrl: 'http://localhost:8080' });
 * const answer = await client.segment({ image: await readFile('beach.jpg'), instruction: 'What would keep me dry?' });
 * ```
 */
export class SegueClient {
  readonly #transport: Transport;
  readonly jobs: Jobs;

  constructor(options: SegueClientOptions) {
    this.#transport = new Transport(options);
    this.jobs = new Jobs(this.#transport);
  }

  /** Waits for the whole answer. */
  segment(options: SegmentOptions, call: CallOptions = {}): Promise<Answer> {
    return this.#ask(options, 'application/json', limitOf(options, call), async (response) =>
      toAnswer(await response.json()),
    );
  }

  /**
   * The job's events as they happen; the last one is `completed`, `failed` or `cancelled`. Leaving the loop cancels the
   * job. With an idempotency key the job outlives a connection that breaks, and the next one goes on where it broke.
   */
  async *stream(options: SegmentOptions, call: CallOptions = {}): AsyncGenerator<JobEvent, void> {
    const signal = limitOf(options, call);
    const response = await this.#ask(options, 'text/event-stream', signal, (opened) => opened);
    yield* jobEvents(this.#transport, response, { signal, resume: options.idempotencyKey !== undefined });
  }

  readonly images = {
    /** Stores a picture, so that questions about it can name its id instead of sending it again. */
    upload: (image: ImageBytes, call: CallOptions = {}): Promise<StoredImage> =>
      this.#transport.json(
        { method: 'POST', path: 'v1/images', body: imageForm(image), ...call },
        (body) => camelCase(body) as StoredImage,
      ),
  };

  readonly models = {
    /** Models that the service can answer with. */
    list: (call: CallOptions = {}): Promise<readonly Model[]> =>
      this.#transport.json(
        { path: 'v1/models', ...call },
        (body) => (camelCase(body) as { readonly models: Model[] }).models,
      ),
  };

  #ask<T>(
    options: SegmentOptions,
    accept: string,
    signal: AbortSignal,
    read: (response: Response) => Promise<T> | T,
  ): Promise<T> {
    const body = toForm(options);
    return this.#transport.send({ method: 'POST', path: 'v1/segment', headers: { accept }, body, signal, read });
  }
}

function limitOf({ timeoutMs }: SegmentOptions, { signal }: CallOptions): AbortSignal {
  return withDeadline(signal, timeoutMs === undefined ? undefined : timeoutMs + DEADLINE_SLACK_MS);
}
