import type { ServiceError } from '@grpc/grpc-js';
import * as v1 from '@segue/contracts';
import {
  ERROR_CODES,
  SegueError,
  type Answer,
  type ErrorBody,
  type ErrorCode,
  type FinishReason,
  type Job,
  type JobEvent,
  type JobEventBody,
  type JobState,
  type Segment,
  type Stage,
} from '@segue/core';

const JOB_STATES: Partial<Record<v1.JobState, JobState>> = {
  [v1.JobState.QUEUED]: 'queued',
  [v1.JobState.RUNNING]: 'running',
  [v1.JobState.COMPLETED]: 'completed',
  [v1.JobState.FAILED]: 'failed',
  [v1.JobState.CANCELLED]: 'cancelled',
};

const STAGES: Partial<Record<v1.Stage, Stage>> = {
  [v1.Stage.ENCODE]: 'encode',
  [v1.Stage.GENERATE]: 'generate',
  [v1.Stage.DECODE]: 'decode',
};

/** A gRPC status as the error that the service threw. */
export function errorFrom(error: ServiceError): SegueError {
  const known = Object.entries(ERROR_CODES).find(([, { grpc }]) => grpc === error.code)?.[0];
  return new SegueError((known as ErrorCode | undefined) ?? 'INTERNAL', error.details || error.message, {
    cause: error,
  });
}

export function jobFrom(job: v1.Job): Job {
  return {
    jobId: job.jobId,
    state: known(JOB_STATES[job.state], 'job state'),
    createdAtMs: Number(job.createdAtMs),
    deadlineAtMs: Number(job.deadlineAtMs),
    ...(job.answer && { answer: answerFrom(job.answer) }),
    ...(job.error && { error: bodyFrom(job.error) }),
  };
}

export function eventFrom(event: v1.JobEvent): JobEvent {
  return { id: event.id, jobId: event.jobId, atMs: Number(event.atMs), ...bodyOf(event.event) };
}

function bodyOf(event: v1.JobEvent['event']): JobEventBody {
  switch (event.case) {
    case 'accepted':
      return { type: 'accepted', imageId: event.value.imageId };
    case 'stage': {
      const { stage, done, cached } = event.value;
      return { type: 'stage', stage: known(STAGES[stage], 'stage'), done, cached };
    }
    case 'text':
      return { type: 'text', offset: event.value.offset, text: event.value.text };
    case 'segment':
      return { type: 'segment', segment: segmentFrom(event.value) };
    case 'completed':
      return { type: 'completed', answer: answerFrom(event.value) };
    case 'failed':
      return { type: 'failed', error: bodyFrom(event.value) };
    case 'cancelled':
      return { type: 'cancelled' };
    case undefined:
      return known<JobEventBody>(undefined, 'event');
  }
}

export function answerFrom(answer: v1.Answer): Answer {
  const { queue = 0, encode = 0, generate = 0, decode = 0, total = 0 } = answer.timingsMs ?? {};
  return {
    jobId: answer.jobId,
    text: answer.text,
    segments: answer.segments.map(segmentFrom),
    model: answer.model,
    finishReason: answer.finishReason as FinishReason,
    timingsMs: { queue, encode, generate, decode, total },
    cache: { image: answer.cache?.image ?? false, prefix: answer.cache?.prefix ?? false },
    imageId: answer.imageId,
  };
}

function segmentFrom(segment: v1.Segment): Segment {
  const { mask, span, box } = segment;
  if (mask?.encoding.case !== 'rle') return known<Segment>(undefined, 'mask format');
  return {
    index: segment.index,
    phrase: segment.phrase,
    span: [span?.start ?? 0, span?.end ?? 0],
    mask: { size: [mask.height, mask.width], counts: mask.encoding.value.counts },
    box: [box?.x ?? 0, box?.y ?? 0, box?.width ?? 0, box?.height ?? 0],
    area: Number(segment.area),
    score: segment.score,
  };
}

function bodyFrom(error: v1.JobError): ErrorBody {
  return {
    code: error.code in ERROR_CODES ? (error.code as ErrorCode) : 'INTERNAL',
    message: error.message,
    details: {},
  };
}

/** @throws SegueError UNIMPLEMENTED when the service sent what this client does not know. */
function known<T>(value: T | undefined, what: string): T {
  if (value !== undefined) return value;
  throw new SegueError(
    'UNIMPLEMENTED',
    `The service sent a ${what} that this client does not know. Update the client.`,
  );
}
