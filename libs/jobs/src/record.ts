import type { Answer, ErrorBody, Job, JobState, SegmentationRequest, Stage } from '@segue/core';
import type { Reading } from '@segue/redis';
import type { Generated, TensorSetRef } from '@segue/stages';
import type { Place } from './queues.js';

/** Milliseconds since the epoch by Redis' clock, the one clock that all workers share. */
export interface StageTimes {
  readonly startedAtMs?: number;
  readonly doneAtMs?: number;
}

/** Everything about a job that must survive; a hash in Redis with a lifetime. */
export interface JobRecord {
  readonly jobId: string;
  /** Of what wrote it; see `SCHEMA`. */
  readonly schema: number;
  readonly tenant: string;
  readonly request: SegmentationRequest;
  readonly state: JobState;
  readonly createdAtMs: number;
  readonly deadlineAtMs: number;
  readonly encoded?: TensorSetRef;
  readonly generated?: Generated;
  readonly answer?: Answer;
  readonly error?: ErrorBody;
  readonly stages: Readonly<Record<Stage, StageTimes>>;
  /** Milliseconds spent in decoding, over all segments. */
  readonly decodeMs: number;
  /** Lost tensors that were computed again. */
  readonly recomputes: number;
  /** How often the answer was begun anew. */
  readonly epoch: number;
  /** Epoch of an answer whose words were complete when it was begun anew: they must be written again. */
  readonly anew?: number;
  /** Where the job stands in the queues. */
  readonly place: Place;
  /** When the record was read: milliseconds since the epoch by Redis' clock. */
  readonly readAtMs: number;
}

/** A request to be made into a job. */
export interface NewJob {
  readonly request: SegmentationRequest;
  /** Time allowed from now on. */
  readonly timeoutMs: number;
  /** Whose it is: idempotency keys and turns are kept apart by it. */
  readonly tenant?: string;
  /** How many jobs may be open of this tenant, and in all; any number unless given. */
  readonly mostOfTenant?: number;
  readonly mostOfAll?: number;
  readonly idempotencyKey?: string;
  /** Stages without a worker, which the job waits for. */
  readonly starting?: readonly Stage[];
}

const TERMINAL: ReadonlySet<JobState> = new Set<JobState>(['completed', 'failed', 'cancelled']);

export function hasEnded(record: Pick<JobRecord, 'state'>): boolean {
  return TERMINAL.has(record.state);
}

/** The job as clients see it. */
export function toJob(record: JobRecord): Job {
  return {
    jobId: record.jobId,
    state: record.state,
    createdAtMs: record.createdAtMs,
    deadlineAtMs: record.deadlineAtMs,
    instruction: record.request.instruction,
    imageId: record.request.imageId,
    ...(record.answer && { answer: record.answer }),
    ...(record.error && { error: record.error }),
  };
}

/** Reads the hash as Redis returns it; `undefined` when there is none. */
export function parseRecord(jobId: string, { hash, nowMs }: Reading): JobRecord | undefined {
  const { state, request, encoded, generated, answer, error } = hash;
  if (state === undefined || request === undefined) return undefined;
  const parsed = JSON.parse(request) as SegmentationRequest;
  return {
    jobId,
    schema: Number(hash.schema ?? 1),
    tenant: hash.tenant ?? '',
    request: parsed,
    place: { priority: parsed.priority, ...(hash.turn !== undefined && { turn: Number(hash.turn) }) },
    state: state as JobState,
    createdAtMs: Number(hash.createdAtMs),
    deadlineAtMs: Number(hash.deadlineAtMs),
    ...(encoded !== undefined && { encoded: JSON.parse(encoded) as TensorSetRef }),
    ...(generated !== undefined && { generated: JSON.parse(generated) as Generated }),
    ...(answer !== undefined && { answer: JSON.parse(answer) as Answer }),
    ...(error !== undefined && { error: JSON.parse(error) as ErrorBody }),
    stages: {
      encode: stageTimes(hash, 'encode'),
      generate: stageTimes(hash, 'generate'),
      decode: stageTimes(hash, 'decode'),
    },
    decodeMs: Number(hash.decodeMs ?? 0),
    recomputes: Number(hash.recomputes ?? 0),
    epoch: Number(hash.epoch ?? 0),
    ...(hash.anew !== undefined && { anew: Number(hash.anew) }),
    readAtMs: nowMs,
  };
}

function stageTimes(hash: Readonly<Record<string, string>>, stage: Stage): StageTimes {
  const started = hash[`${stage}.startedAtMs`];
  const done = hash[`${stage}.doneAtMs`];
  return {
    ...(started !== undefined && { startedAtMs: Number(started) }),
    ...(done !== undefined && { doneAtMs: Number(done) }),
  };
}
