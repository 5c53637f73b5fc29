import {
  isStoreAway,
  PUBLIC_TENANT,
  SegueError,
  type Answer,
  type JobEventBody,
  type Segment,
  type Stage,
} from '@segue/core';
import { JobScripts, KEYS, type RedisConnection } from '@segue/redis';
import { digestOf, type Generated, type TensorSetRef } from '@segue/stages';
import { WORKER_ID } from './heartbeats.js';
import { idempotencyDigest, isJobId, newJobId, requestDigest } from './job-id.js';
import type { Place } from './queues.js';
import { hasEnded, parseRecord, type JobRecord, type NewJob } from './record.js';

/** Jobs of one tenant that can be listed; older ones are still found by their ids. */
const MAX_LISTED = 10_000;
const LONGEST_TIMEOUT_MS = 24 * 3_600_000;

/** A task's work begins. */
export interface Begun {
  readonly record: JobRecord | undefined;
  /** Runs of the task that ended with their process. */
  readonly deaths: number;
  /** Who ran those: `host/pid`. A run of an earlier version does not tell. */
  readonly diedIn: readonly string[];
}

/** Writes job records, and with every change of a job the event that tells of it, in one step. */
export class JobStore {
  readonly scripts: JobScripts;
  readonly #redis: RedisConnection;
  readonly #keepMs: number;

  /** @param keepMs how long a job is kept after its end, or after its deadline should it never end. */
  constructor(redis: RedisConnection, keepMs: number) {
    this.scripts = new JobScripts(redis);
    this.#redis = redis;
    this.#keepMs = keepMs;
  }

  /**
   * Writes the record and the `accepted` event, and lists the job. The same idempotency key with the same request finds the job that exists,
   * unless that failed for a reason that passes. The job waits in `unsent` until its flow has been added.
   * @throws SegueError ALREADY_EXISTS for the same key with another request, RESOURCE_EXHAUSTED where too many jobs are open.
   */
  async create(job: NewJob): Promise<{ readonly jobId: string; readonly created: boolean; readonly place: Place }> {
    const { request, timeoutMs, tenant = PUBLIC_TENANT, mostOfTenant = 0, mostOfAll = 0, starting: stages = [] } = job;
    const { priority } = request;
    const { outcome, jobId, turn } = await this.scripts.create({
      jobId: newJobId(),
      digest: requestDigest(request),
      timeoutMs,
      keepMs: this.#keepMs,
      tenant,
      request: JSON.stringify(request),
      event: body({ type: 'accepted', imageId: request.imageId }),
      idempotency: idempotencyDigest(tenant, job.idempotencyKey),
      then: stages.length > 0 ? body({ type: 'starting', stages }) : '',
      priority,
      mostOfTenant,
      mostOfAll,
      mostListed: MAX_LISTED,
      // As long as any job that is in the list.
      listedMs: this.#keepMs + Math.max(timeoutMs, LONGEST_TIMEOUT_MS),
    });
    if (outcome !== 'created' && outcome !== 'found') throw refusal(outcome, mostOfTenant);
    return { jobId, created: outcome === 'created', place: { priority, turn } };
  }

  /** Whether the key stands for a job that a retry finds. */
  async isAccepted(idempotencyKey: string, tenant = PUBLIC_TENANT): Promise<boolean> {
    const key = KEYS.idempotency(idempotencyDigest(tenant, idempotencyKey));
    const jobId = await this.#ask((redis) => redis.get(key));
    if (jobId === null) return false;
    const [state, retryable] = await this.#ask((redis) => redis.hmget(KEYS.record(jobId), 'state', 'retryable'));
    return state !== null && state !== undefined && retryable !== '1';
  }

  async find(jobId: string): Promise<JobRecord | undefined> {
    if (!isJobId(jobId)) return undefined;
    return parseRecord(jobId, await this.scripts.read(jobId));
  }

  /** @throws SegueError NOT_FOUND */
  async get(jobId: string): Promise<JobRecord> {
    const record = await this.find(jobId);
    if (!record) throw jobNotFound();
    return record;
  }

  /** Notes that a stage has begun and returns the record as it is then, and which runs of the task died with their process. */
  async begin(jobId: string, stage: Stage, taskId: string, worker = WORKER_ID): Promise<Begun> {
    const event = body({ type: 'stage', stage, done: false, cached: false });
    const { deaths, diedIn, ...reading } = await this.scripts.begin(jobId, stage, event, taskId, worker);
    return { record: parseRecord(jobId, reading), deaths, diedIn };
  }

  async endEncode(jobId: string, encoded: TensorSetRef, taskId: string): Promise<void> {
    const event = body({ type: 'stage', stage: 'encode', done: true, cached: encoded.cached });
    const bundle = { mark: `"${digestOf(encoded)}/`, restarted: body({ type: 'restarted' }) };
    await this.scripts.endStage(jobId, 'encode', event, 'encoded', JSON.stringify(encoded), taskId, bundle);
  }

  /** @returns false for an answer that was begun anew since. */
  endGenerate(jobId: string, generated: Generated, epoch: number, taskId: string): Promise<boolean> {
    const event = body({ type: 'stage', stage: 'generate', done: true, cached: generated.prefixCached });
    const value = JSON.stringify(generated);
    return this.scripts.endStage(jobId, 'generate', event, 'generated', value, taskId, undefined, epoch);
  }

  /** Begins an answer anew whose masks nobody makes any more, and returns the record as it is then. @throws SegueError NOT_FOUND */
  async beginAnew(jobId: string, epoch: number): Promise<JobRecord> {
    await this.scripts.beginAnew(jobId, epoch, body({ type: 'restarted' }));
    return this.get(jobId);
  }

  async endDecode(jobId: string): Promise<void> {
    const event = body({ type: 'stage', stage: 'decode', done: true, cached: false });
    await this.scripts.endStage(jobId, 'decode', event, '', '', '');
  }

  async hasSegment(jobId: string, index: number): Promise<boolean> {
    return (await this.#ask((redis) => redis.hexists(KEYS.record(jobId), `segment.${index}`))) === 1;
  }

  /** Bytes of the answer's text in the log. */
  textBytes(jobId: string): Promise<number> {
    return this.#ask((redis) => redis.hstrlen(KEYS.record(jobId), 'text'));
  }

  /** Appends a segment, the first time that its index comes in this epoch of the answer. */
  async addSegment(jobId: string, segment: Segment, ranMs: number, epoch: number, taskId: string): Promise<void> {
    await this.scripts.addSegment(jobId, segment.index, body({ type: 'segment', segment }), ranMs, epoch, taskId);
  }

  /** One segment, as soon as it is there. */
  async segment(jobId: string, index: number): Promise<Segment | undefined> {
    if (!isJobId(jobId)) return undefined;
    const id = await this.#ask((redis) => redis.hget(KEYS.record(jobId), `segment.${index}`));
    if (id === null) return undefined;
    const [entry] = await this.#ask((redis) => redis.xrange(KEYS.events(jobId), id, id));
    const event = entry && (JSON.parse(entry[1][1] ?? '') as JobEventBody);
    return event?.type === 'segment' ? event.segment : undefined;
  }

  /** All segments of the answer that are there, by index. */
  async segments(jobId: string): Promise<Segment[]> {
    const entries = await this.#ask((redis) => redis.xrange(KEYS.events(jobId), '-', '+'));
    const events = entries.map(([, fields]) => JSON.parse(fields[1] ?? '') as JobEventBody);
    return events
      .slice(events.findLastIndex(({ type }) => type === 'restarted') + 1)
      .flatMap((event) => (event.type === 'segment' ? [event.segment] : []))
      .sort((a, b) => a.index - b.index);
  }

  /** @returns whether this call ended the job: only the first end counts. */
  complete(jobId: string, answer: Answer): Promise<boolean> {
    // The event stands for the answer, which is kept once, in the record; the reader puts it in.
    const event = JSON.stringify({ type: 'completed' });
    return this.scripts.finish(jobId, { state: 'completed', event, field: 'answer', value: JSON.stringify(answer) });
  }

  /** @returns whether this call ended the job. */
  fail(jobId: string, error: SegueError): Promise<boolean> {
    const late = error.code === 'DEADLINE_EXCEEDED';
    return this.scripts.finish(jobId, {
      state: 'failed',
      event: body({ type: 'failed', error: error.toJSON() }),
      field: 'error',
      value: JSON.stringify(error),
      retryable: error.retryable || late,
      late,
    });
  }

  /** @returns whether this call ended the job. */
  cancel(jobId: string): Promise<boolean> {
    return this.scripts.finish(jobId, { state: 'cancelled', event: body({ type: 'cancelled' }) });
  }

  /**
   * Takes jobs that have ended, oldest first: each is given out once, to whoever counts it, wherever it was ended. It is struck off
   * when its record has been read, so that nobody who ends before takes it away. Those that nobody takes for long are forgotten.
   */
  async takeEnded(atMost: number): Promise<JobRecord[]> {
    const jobIds = await this.#ask((redis) => redis.lrange(KEYS.ended, -atMost, -1));
    if (jobIds.length === 0) return [];
    const records = await Promise.all(
      jobIds.map((jobId) =>
        this.find(jobId).catch((error: unknown) => {
          if (isStoreAway(error)) throw error;
          this.#redis.log.error({ err: error, jobId }, 'the record of a job cannot be read; it is not counted');
          return undefined;
        }),
      ),
    );
    const ours = await this.scripts.strikeOff(jobIds);
    return records.filter((record) => record !== undefined && ours.has(record.jobId)).reverse() as JobRecord[];
  }

  #ask<T>(command: (redis: RedisConnection['client']) => Promise<T>): Promise<T> {
    return this.#redis.ask(() => command(this.#redis.client));
  }
}

export function jobNotFound(): SegueError {
  return new SegueError(
    'NOT_FOUND',
    'There is no job with this id. Check the id; a job is kept for a limited time after its end.',
  );
}

const RETRY_FULL_MS = 5_000;

function refusal(why: 'conflict' | 'tenant_full' | 'full', mostOfTenant: number): SegueError {
  switch (why) {
    case 'conflict':
      return new SegueError(
        'ALREADY_EXISTS',
        'This idempotency key was used with another request. Choose a new key, or send the same request.',
      );
    case 'tenant_full':
      return new SegueError(
        'RESOURCE_EXHAUSTED',
        `${mostOfTenant} of your jobs have not ended, which is as many as you may have. Wait for one to end, or cancel one.`,
        { retryAfterMs: RETRY_FULL_MS },
      );
    case 'full':
      return new SegueError(
        'RESOURCE_EXHAUSTED',
        'Too many requests are waiting already. Try again in a few seconds.',
        {
          retryAfterMs: RETRY_FULL_MS,
        },
      );
  }
}

/** Why a job that has ended must not be worked on any more. */
export function endedError(record: JobRecord | undefined): SegueError {
  if (record?.error) return new SegueError(record.error.code, record.error.message, { details: record.error.details });
  return new SegueError('CANCELLED', record && !hasEnded(record) ? 'The job was withdrawn.' : 'The job was cancelled.');
}

/** The job took longer than it was allowed to. */
export function deadlineExceeded(): SegueError {
  return new SegueError(
    'DEADLINE_EXCEEDED',
    'The job was not done by its deadline. Allow more time, or ask again later.',
  );
}

function body(event: JobEventBody): string {
  return JSON.stringify(event);
}
