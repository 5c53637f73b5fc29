import { SegueError, type Answer, type Job, type JobEvent, type JobState } from '@segue/core';
import { toJob, toJobPage } from './bodies.js';
import { jobEvents, openEvents } from './events.js';
import { toForm, type SegmentOptions } from './request.js';
import { withDeadline, type CallOptions, type Transport } from './transport.js';

export interface WatchOptions extends CallOptions {
  /** Only events after this one. */
  readonly afterEventId?: string;
}

export interface ListOptions extends CallOptions {
  /** Only jobs in this state. */
  readonly state?: JobState;
}

/** Jobs that outlive their client: submit one, and come back for it later or from elsewhere. */
export class Jobs {
  readonly #transport: Transport;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /** Submits a job and returns at once. It gets an idempotency key unless it has one: a retry submits no second job. */
  submit(options: SegmentOptions, call: CallOptions = {}): Promise<Job> {
    const body = toForm({ ...options, idempotencyKey: options.idempotencyKey ?? randomKey() });
    return this.#transport.json({ method: 'POST', path: 'v1/jobs', body, ...call }, toJob);
  }

  /** Jobs by creation, the newest first, without their answers; further pages are fetched as the loop goes on. */
  async *list({ state, signal }: ListOptions = {}): AsyncGenerator<Job, void> {
    let token: string | undefined;
    do {
      const query = new URLSearchParams({
        ...(state !== undefined && { state }),
        ...(token !== undefined && { page_token: token }),
      });
      const page = await this.#transport.json({ path: `v1/jobs?${query}`, ...(signal && { signal }) }, toJobPage);
      yield* page.jobs;
      token = page.nextPageToken;
    } while (token !== undefined);
  }

  /** A job's state and, when it has ended, its answer or error. */
  get(jobId: string, call: CallOptions = {}): Promise<Job> {
    return this.#transport.json({ path: pathOf(jobId), ...call }, toJob);
  }

  /**
   * A job's events, those that have happened already included; the last one is `completed`, `failed` or `cancelled`.
   * Where a connection breaks, the next one goes on. Leaving the loop leaves the job alone.
   */
  async *watch(jobId: string, { afterEventId, signal }: WatchOptions = {}): AsyncGenerator<JobEvent, void> {
    const position = { jobId, afterEventId };
    const ends = withDeadline(signal);
    const response = await openEvents(this.#transport, position, ends);
    yield* jobEvents(this.#transport, response, { signal: ends, resume: true, position });
  }

  /** Waits for a job's answer. @throws SegueError what the job failed with; CANCELLED if it was cancelled. */
  async wait(jobId: string, call: CallOptions = {}): Promise<Answer> {
    for await (const event of this.watch(jobId, call)) {
      if (event.type === 'completed') return event.answer;
      if (event.type === 'failed') throw new SegueError(event.error.code, event.error.message, event.error);
      if (event.type === 'cancelled') throw new SegueError('CANCELLED', 'The job was cancelled.');
    }
    throw new SegueError('NOT_FOUND', 'What became of this job is not kept any more.');
  }

  /** Cancels a job and returns it; a job that has ended stays as it is. */
  cancel(jobId: string, call: CallOptions = {}): Promise<Job> {
    return this.#transport.json({ method: 'DELETE', path: pathOf(jobId), ...call }, toJob);
  }
}

function pathOf(jobId: string): string {
  return `v1/jobs/${encodeURIComponent(jobId)}`;
}

/** 128 bits; `crypto.randomUUID` is not there on pages without TLS. */
function randomKey(): string {
  return Array.from(crypto.getRandomValues(new Uint32Array(4)), (part) => part.toString(16).padStart(8, '0')).join('');
}
