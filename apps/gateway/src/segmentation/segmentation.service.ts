import {
  isTerminal,
  PUBLIC_TENANT,
  SegueError,
  STAGES,
  type Answer,
  type Job,
  type JobEvent,
  type Segment,
  type Tenant,
} from '@segue/core';
import type { Renderer } from '@segue/imaging';
import { toJob, type Jobs, type JobRecord, type ListOptions } from '@segue/jobs';
import type { PictureStore } from '@segue/pictures';
import type { Logger } from '@segue/service';
import type { GatewayConfig } from '../config.js';
import type { GatewayMetrics } from '../metrics/gateway-metrics.js';
import type { Intake, StoredPicture, Submission } from './intake.js';
import type { SegmentationCommand, Spelling } from './command.js';
import { OpenStreams } from './open-streams.js';
import { maskEncoder, type EncodeMask, type MaskOptions } from './encoded-mask.js';

/** When to ask again after a job that the workers could not finish. */
const RETRY_AFTER_MS = 1_000;

/** The client's side of a call. */
export interface Caller {
  /** Aborts when the client goes away or its deadline passes, with the SegueError that says so. */
  readonly signal: AbortSignal;
  /** The client's own deadline in milliseconds since the epoch; Infinity when it set none. */
  readonly deadlineAtMs: number;
  readonly requestId: string;
  readonly tenant: Tenant;
  readonly spell: Spelling;
}

/** Something of a job, and what makes its masks as they were asked for. */
export interface Formatted<T> {
  readonly value: T;
  readonly encodeMask: EncodeMask;
}

/** What the gateway does for its clients, the same behind both edges. */
export class SegmentationService {
  readonly #jobs: Jobs;
  readonly #pictures: PictureStore;
  readonly #intake: Intake;
  readonly #renderer: Renderer;
  readonly #logger: Logger;
  readonly #metrics: Pick<GatewayMetrics, 'firstEvent'>;
  readonly #listsPublicJobs: boolean;
  readonly #stopping = new AbortController();
  readonly #streams = new OpenStreams();

  constructor(
    config: Pick<GatewayConfig, 'listPublicJobs'>,
    jobs: Jobs,
    pictures: PictureStore,
    intake: Intake,
    renderer: Renderer,
    logger: Logger,
    metrics: Pick<GatewayMetrics, 'firstEvent'>,
  ) {
    this.#listsPublicJobs = config.listPublicJobs === 'on';
    this.#jobs = jobs;
    this.#pictures = pictures;
    this.#intake = intake;
    this.#renderer = renderer;
    this.#logger = logger;
    this.#metrics = metrics;
  }

  /** Waits for the whole answer. The job is cancelled when the client goes away, unless it named an idempotency key. */
  async segment(command: SegmentationCommand, caller: Caller): Promise<Answer> {
    for await (const event of this.#events(command, caller, true)) {
      if (event.type === 'completed') return event.answer;
      if (event.type === 'failed') {
        const { code, message, details } = event.error;
        throw new SegueError(code, message, {
          details,
          ...(code === 'UNAVAILABLE' && { retryAfterMs: RETRY_AFTER_MS }),
        });
      }
      if (event.type === 'cancelled')
        throw new SegueError('CANCELLED', 'The job was cancelled before its answer was ready.');
    }
    throw new Error('the event log of the job ended without a last event');
  }

  /** A job's events as they happen. The job is cancelled when the client goes away, unless it named an idempotency key. */
  stream(command: SegmentationCommand, caller: Caller): AsyncGenerator<JobEvent, void> {
    return this.#streams.counted(caller.tenant, this.#events(command, caller, false));
  }

  async *#events(command: SegmentationCommand, caller: Caller, lastOnly: boolean): AsyncGenerator<JobEvent, void> {
    // Who names an idempotency key may come back for the answer: neither the connection nor its deadline ends the job.
    const awaited = command.idempotencyKey !== undefined;
    const askedAt = performance.now();
    const seen = new Set<string>();
    const { jobId } = await this.#accept(command, caller, {
      awaited: true,
      deadlineAtMs: awaited ? Infinity : caller.deadlineAtMs,
    });
    const { signal } = caller;
    let ended = false;
    try {
      for await (const event of this.#jobs.events(jobId, { signal, lastOnly })) {
        ended = isTerminal(event);
        if ((event.type === 'text' || event.type === 'segment') && !seen.has(event.type)) {
          seen.add(event.type);
          this.#metrics.firstEvent(event.type, (performance.now() - askedAt) / 1000);
        }
        yield event;
      }
      signal.throwIfAborted();
    } finally {
      // A job whose deadline has passed fails by itself.
      if (!ended && !awaited && !isDeadline(signal.reason)) await this.#jobs.cancel(jobId);
    }
  }

  /** Submits a job that outlives the connection. */
  async submit(command: SegmentationCommand, caller: Caller): Promise<Formatted<Job>> {
    const { jobId } = await this.#accept(command, caller, { awaited: false, deadlineAtMs: Infinity });
    return this.job(jobId, caller.tenant);
  }

  /**
   * A tenant's jobs by creation, the newest first, without their answers.
   * @throws SegueError PERMISSION_DENIED where jobs of whoever has no key are nobody's to list.
   */
  async list(
    { name }: Tenant,
    options: Omit<ListOptions, 'tenant'>,
  ): Promise<{ readonly jobs: readonly Job[]; readonly next?: string }> {
    if (name === PUBLIC_TENANT && !this.#listsPublicJobs) {
      throw new SegueError(
        'PERMISSION_DENIED',
        "This service lists no jobs: they are anybody's. Its operator can allow it with SEGUE_LIST_PUBLIC_JOBS=on.",
      );
    }
    const { jobs, ...page } = await this.#jobs.list({ ...options, tenant: name });
    return { jobs: jobs.map((record) => toJob(record)), ...page };
  }

  /** @param tenant who asks; this service itself unless given. @throws SegueError NOT_FOUND, also for another tenant's. */
  async job(jobId: string, tenant?: Tenant): Promise<Formatted<Job>> {
    return this.#formatted(await this.#jobs.get(jobId, tenant?.name));
  }

  /** Cancels a job; one that has ended stays as it is. @throws SegueError NOT_FOUND */
  async cancel(jobId: string, { name }: Tenant): Promise<Formatted<Job>> {
    return this.#formatted(await this.#jobs.cancel(jobId, name));
  }

  /**
   * A job's events after one of them, or all of them.
   * @throws SegueError NOT_FOUND; from the events, UNAVAILABLE when this server stops: the client goes on at another.
   */
  async watch(
    jobId: string,
    after: string | undefined,
    { signal, tenant }: Pick<Caller, 'signal' | 'tenant'>,
  ): Promise<Formatted<AsyncIterable<JobEvent>>> {
    const { request } = await this.#jobs.get(jobId, tenant.name);
    const events = this.#streams.counted(tenant, this.#follow(jobId, after, signal));
    return { value: events, encodeMask: this.maskEncoder(request) };
  }

  /** @throws SegueError NOT_FOUND when there is no such job or, so far, no such segment. */
  async segmentOf(jobId: string, index: number, { name }: Tenant): Promise<Segment> {
    const { state } = await this.#jobs.get(jobId, name);
    const segment = await this.#jobs.segment(jobId, index);
    if (segment) return segment;
    throw new SegueError('NOT_FOUND', `This job, which is ${state}, has no segment ${index}.`);
  }

  storePicture(bytes: Uint8Array, tenant: Tenant): Promise<StoredPicture> {
    return this.#intake.storePicture(bytes, tenant);
  }

  /** @throws SegueError NOT_FOUND */
  picture(imageId: string, { name }: Tenant): Promise<Buffer> {
    return this.#pictures.get(imageId, { tenant: name });
  }

  /** What the workers run on, each device once; none while Redis is away, which is no reason to keep the models' names back. */
  async devices(): Promise<readonly string[]> {
    try {
      const workers = await Promise.all(STAGES.map((stage) => this.#jobs.workers(stage)));
      return [...new Set(workers.flat().flatMap(({ device }) => device ?? []))].toSorted();
    } catch (error) {
      this.#logger.warn({ err: error }, 'could not read what the workers run on');
      return [];
    }
  }

  /** Height and width of a stored picture. @throws SegueError NOT_FOUND */
  async pictureSize(imageId: string): Promise<readonly [number, number]> {
    const { height, width } = await this.#pictures.sizeOf(imageId);
    return [height, width];
  }

  /** Makes masks as a request asked for them. */
  maskEncoder(options: MaskOptions): EncodeMask {
    return maskEncoder(this.#renderer, options);
  }

  /** A PNG with one bit a pixel. */
  maskPng({ mask }: Segment): Promise<Uint8Array> {
    return this.#renderer.png(mask);
  }

  /** A PNG of an answer's picture with the masks over it and the words under it. @throws SegueError NOT_FOUND */
  overlay({ imageId, segments, text }: Answer, tenant: Tenant): Promise<Uint8Array> {
    const picture = (): Promise<Buffer> => this.picture(imageId, tenant);
    return this.#renderer.overlay({ imageId, picture, segments, text, limits: this.#intake.pictureLimits });
  }

  /** Lets watchers go. Calls that wait for an answer stay. */
  stopWatching(): void {
    this.#stopping.abort();
  }

  async #accept(
    command: SegmentationCommand,
    { requestId, tenant, spell, signal }: Caller,
    how: Pick<Submission, 'awaited' | 'deadlineAtMs'>,
  ): ReturnType<Intake['submit']> {
    const accepted = await this.#intake.submit(command, { spell, tenant, signal, ...how });
    this.#logger.info({ requestId, tenant: tenant.name, ...accepted }, 'job accepted');
    return accepted;
  }

  #formatted(record: JobRecord): Formatted<Job> {
    return { value: toJob(record), encodeMask: this.maskEncoder(record.request) };
  }

  async *#follow(jobId: string, after: string | undefined, caller: AbortSignal): AsyncGenerator<JobEvent, void> {
    const stopping = this.#stopping.signal;
    const signal = AbortSignal.any([caller, stopping]);
    for await (const event of this.#jobs.events(jobId, { signal, ...(after !== undefined && { after }) })) {
      yield event;
      if (isTerminal(event)) return;
    }
    caller.throwIfAborted();
    if (stopping.aborted) {
      throw new SegueError('UNAVAILABLE', 'This server is stopping. Connect again, and go on after your last event.', {
        retryAfterMs: 1_000,
      });
    }
  }
}

function isDeadline(reason: unknown): boolean {
  return reason instanceof SegueError && reason.code === 'DEADLINE_EXCEEDED';
}
