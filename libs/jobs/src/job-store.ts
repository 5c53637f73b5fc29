import { SegueError, type Answer, type JobEventBody, type Segment, type Stage } from '@segue/core';

import { isJobId, jobIdFor, requestDigest } from './job-id.js';
import { KEYS } from './keys.js';
import { hasEnded, parseRecord, type Generated, type JobRecord, type NewJob, type TensorSetRef } from './record.js';
import { askRedis } from './redis.js';
import type { ScriptedRedis } from './scripts.js';

export interface JobStoreOptions {
  /** How long a job is kept after its end, or after its deadline should it never end. */
  readonly keepMs: number;
}

/** Writes job records, and with every change of a job the event that tells of it, in one step. */
export class JobStore {
  constructor(
    private readonly redis: ScriptedRedis,
    private readonly options: JobStoreOptions,
  ) {}

  /**
   * Writes the record and the `accepted` event. The same idempotency key with the same request finds the job that exists.
   * The job waits in `unsent` until its flow has been added.
   * @throws SegueError ALREADY_EXISTS for the same key with another request.
   */
  async create(job: NewJob): Promise<{ readonly jobId: string; readonly created: boolean }> {
    const tenant = job.tenant ?? 'public';
    const jobId = jobIdFor(tenant, job.idempotencyKey);
    const keys = [...this.keys(jobId), KEYS.deadlines, KEYS.unsent];
    const outcome = await askRedis(() =>
      this.redis.segueCreate(
        ...keys,
        KEYS.signal(jobId),
        jobId,
        requestDigest(job.request),
        job.deadlineAtMs,
        this.options.keepMs,
        tenant,
        JSON.stringify(job.request),
        body({ type: 'accepted', imageId: job.request.imageId }),
      ),
    );
    if (outcome === -1) {
      throw new SegueError(
        'ALREADY_EXISTS',
        'This idempotency key was used with another request. Choose a new key, or send the same request.',
      );
    }
    return { jobId, created: outcome === 1 };
  }

  async find(jobId: string): Promise<JobRecord | undefined> {
    if (!isJobId(jobId)) return undefined;
    return parseRecord(jobId, await askRedis(() => this.redis.hgetall(KEYS.record(jobId))));
  }

  /** @throws SegueError NOT_FOUND */
  async get(jobId: string): Promise<JobRecord> {
    const record = await this.find(jobId);
    if (!record) throw jobNotFound();
    return record;
  }

  /** Notes that a stage has begun and returns the record as it is then. */
  async beginStage(jobId: string, stage: Stage): Promise<JobRecord | undefined> {
    const event = body({ type: 'stage', stage, done: false, cached: false });
    const flat = await askRedis(() =>
      this.redis.segueBeginStage(...this.keys(jobId), KEYS.signal(jobId), stage, event),
    );
    return parseRecord(jobId, fromPairs(flat));
  }

  async endEncode(jobId: string, encoded: TensorSetRef): Promise<void> {
    await this.endStage(jobId, 'encode', encoded.cached, 'encoded', JSON.stringify(encoded));
  }

  async endGenerate(jobId: string, generated: Generated): Promise<void> {
    await this.endStage(jobId, 'generate', generated.prefixCached, 'generated', JSON.stringify(generated));
  }

  async endDecode(jobId: string): Promise<void> {
    await this.endStage(jobId, 'decode', false);
  }

  /** Appends a piece of the answer, less what the log has already. Does nothing once the job has ended. */
  async appendText(jobId: string, piece: { readonly offset: number; readonly text: string }): Promise<void> {
    let offset = piece.offset;
    let rest = Array.from(piece.text);
    while (rest.length > 0) {
      const event = body({ type: 'text', offset, text: rest.join('') });
      const reply = await askRedis(() =>
        this.redis.segueAppendText(...this.keys(jobId), KEYS.signal(jobId), offset, rest.length, event),
      );
      if (reply < 0) return;
      if (reply < offset) throw new Error(`text at ${offset} leaves a gap: the log ends at ${reply}`);
      rest = rest.slice(reply - offset);
      offset = reply;
    }
  }

  /** Appends a segment, the first time that its index comes. */
  async addSegment(jobId: string, segment: Segment, ranMs: number): Promise<void> {
    const event = body({ type: 'segment', segment });
    await askRedis(() =>
      this.redis.segueAddSegment(...this.keys(jobId), KEYS.signal(jobId), segment.index, event, ranMs),
    );
  }

  async hasSegment(jobId: string, index: number): Promise<boolean> {
    return (await askRedis(() => this.redis.hexists(KEYS.record(jobId), `segment.${index}`))) === 1;
  }

  /** One segment, as soon as it is there. */
  async segment(jobId: string, index: number): Promise<Segment | undefined> {
    if (!isJobId(jobId)) return undefined;
    const id = await askRedis(() => this.redis.hget(KEYS.record(jobId), `segment.${index}`));
    if (id === null) return undefined;
    const [entry] = await askRedis(() => this.redis.xrange(KEYS.events(jobId), id, id));
    const event = entry && (JSON.parse(entry[1][1] ?? '') as JobEventBody);
    return event?.type === 'segment' ? event.segment : undefined;
  }

  /** All segments that are there, by index. */
  async segments(jobId: string): Promise<Segment[]> {
    const entries = await askRedis(() => this.redis.xrange(KEYS.events(jobId), '-', '+'));
    return entries
      .map(([, fields]) => JSON.parse(fields[1] ?? '') as JobEventBody)
      .flatMap((event) => (event.type === 'segment' ? [event.segment] : []))
      .sort((a, b) => a.index - b.index);
  }

  /** @returns whether this call ended the job: only the first end counts. */
  complete(jobId: string, answer: Answer): Promise<boolean> {
    // The event stands for the answer, which is kept once, in the record; the reader puts it in.
    return this.finish(jobId, 'completed', JSON.stringify({ type: 'completed' }), 'answer', JSON.stringify(answer));
  }

  /** @returns whether this call ended the job. */
  fail(jobId: string, error: SegueError): Promise<boolean> {
    return this.finish(
      jobId,
      'failed',
      body({ type: 'failed', error: error.toJSON() }),
      'error',
      JSON.stringify(error),
    );
  }

  /** @returns whether this call ended the job. */
  cancel(jobId: string): Promise<boolean> {
    return this.finish(jobId, 'cancelled', body({ type: 'cancelled' }));
  }

  /** Counts a lost tensor; returns how often it has happened to this task. */
  countRecompute(jobId: string, taskId: string): Promise<number> {
    return askRedis(() => this.redis.segueCountRecompute(...this.keys(jobId), KEYS.signal(jobId), taskId));
  }

  /**
   * Takes jobs that have ended, oldest first: each is given out once, to whoever counts it, wherever it was ended. Those
   * that nobody takes for long are forgotten.
   */
  async takeEnded(atMost: number): Promise<JobRecord[]> {
    const jobIds = (await askRedis(() => this.redis.rpop(KEYS.ended, atMost))) ?? [];
    const records = await Promise.all(jobIds.map((jobId) => this.find(jobId)));
    return records.filter((record) => record !== undefined);
  }

  private async endStage(jobId: string, stage: Stage, cached: boolean, field = '', value = ''): Promise<void> {
    const event = body({ type: 'stage', stage, done: true, cached });
    await askRedis(() => this.redis.segueEndStage(...this.keys(jobId), KEYS.signal(jobId), stage, event, field, value));
  }

  private async finish(jobId: string, state: string, event: string, field = '', value = ''): Promise<boolean> {
    const keys = [...this.keys(jobId), KEYS.deadlines, KEYS.unsent, KEYS.ended];
    const won = await askRedis(() =>
      this.redis.segueFinish(...keys, KEYS.signal(jobId), jobId, state, event, field, value),
    );
    return won === 1;
  }

  private keys(jobId: string): readonly [string, string] {
    return [KEYS.record(jobId), KEYS.events(jobId)];
  }
}

export function jobNotFound(): SegueError {
  return new SegueError(
    'NOT_FOUND',
    'There is no job with this id. Check the id; a job is kept for a limited time after its end.',
  );
}

/** Why a job that has ended must not be worked on any more. */
export function endedError(record: JobRecord | undefined): SegueError {
  if (record?.error) return new SegueError(record.error.code, record.error.message, { details: record.error.details });
  return new SegueError('CANCELLED', record && !hasEnded(record) ? 'The job was withdrawn.' : 'The job was cancelled.');
}

function body(event: JobEventBody): string {
  return JSON.stringify(event);
}

function fromPairs(flat: readonly string[]): Record<string, string> {
  const hash: Record<string, string> = {};
  for (let i = 0; i + 1 < flat.length; i += 2) hash[flat[i] ?? ''] = flat[i + 1] ?? '';
  return hash;
}
