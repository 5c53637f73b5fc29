import {
  JobState as WireJobState,
  Mode as WireMode,
  Stage as WireStage,
  type Answer as WireAnswer,
  type Job as WireJob,
  type JobError as WireError,
  type JobEvent as WireEvent,
  type Model as WireModel,
  type Segment as WireSegment,
} from '@segue/contracts';
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
  type Mode,
  type RunLengthMask,
  type Segment,
  type Stage,
} from '@segue/core';

/** What people should know of a model before they ask. */
export interface Knowledge {
  /** Names of the kinds of things that it can find. */
  readonly kinds: readonly string[];
  /** Languages of its questions and answers, by their English names. */
  readonly languages: readonly string[];
  /** What it cannot do: one sentence each. */
  readonly limits: readonly string[];
}

/** A model that the service can answer with. */
export interface Model {
  readonly name: string;
  readonly version: string;
  readonly description: string;
  readonly modes: readonly Mode[];
  /** Used when a request names no model. */
  readonly isDefault: boolean;
  /** False for random weights, which exist for tests alone. */
  readonly trained: boolean;
  /** Whether a segment's score is a calibrated probability. */
  readonly scoreCalibrated: boolean;
  readonly maxTokens: number;
  readonly maxQuestionTokens: number;
  /** What people should know of it before they ask. */
  readonly knowledge?: Knowledge;
}

const JOB_STATES: Partial<Record<WireJobState, JobState>> = {
  [WireJobState.QUEUED]: 'queued',
  [WireJobState.RUNNING]: 'running',
  [WireJobState.COMPLETED]: 'completed',
  [WireJobState.FAILED]: 'failed',
  [WireJobState.CANCELLED]: 'cancelled',
};
const STAGES: Partial<Record<WireStage, Stage>> = {
  [WireStage.ENCODE]: 'encode',
  [WireStage.GENERATE]: 'generate',
  [WireStage.DECODE]: 'decode',
};
const MODES: Partial<Record<WireMode, Mode>> = { [WireMode.ANSWER]: 'answer', [WireMode.MASK_ONLY]: 'mask_only' };

export function toModel(message: WireModel): Model {
  const { $typeName, $unknown, modes, knowledge, ...model } = message;
  return {
    ...model,
    modes: modes.map((mode) => known(MODES[mode], 'mode')),
    ...(knowledge && {
      knowledge: { kinds: knowledge.kinds, languages: knowledge.languages, limits: knowledge.limits },
    }),
  };
}

export function toJob(message: WireJob): Job {
  return {
    jobId: message.jobId,
    state: known(JOB_STATES[message.state], 'job state'),
    createdAtMs: Number(message.createdAtMs),
    deadlineAtMs: Number(message.deadlineAtMs),
    instruction: message.instruction,
    imageId: message.imageId,
    ...(message.answer && { answer: toAnswer(message.answer) }),
    ...(message.error && { error: toError(message.error) }),
  };
}

export function toEvent(message: WireEvent): JobEvent {
  return { id: message.id, jobId: message.jobId, atMs: Number(message.atMs), ...toBody(message.event) };
}

function toBody(event: WireEvent['event']): JobEventBody {
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
      return { type: 'segment', segment: toSegment(event.value) };
    case 'completed':
      return { type: 'completed', answer: toAnswer(event.value) };
    case 'failed':
      return { type: 'failed', error: toError(event.value) };
    case 'restarted':
      return { type: 'restarted' };
    case 'cancelled':
      return { type: 'cancelled' };
    case undefined:
      throw unknown('event');
  }
}

export function toAnswer(message: WireAnswer): Answer {
  const { queue = 0, encode = 0, generate = 0, decode = 0, total = 0 } = message.timingsMs ?? {};
  const { image = false, prefix = false } = message.cache ?? {};
  return {
    jobId: message.jobId,
    text: message.text,
    segments: message.segments.map(toSegment),
    model: message.model,
    finishReason: message.finishReason as FinishReason,
    timingsMs: { queue, encode, generate, decode, total },
    cache: { image, prefix },
    imageId: message.imageId,
  };
}

function toSegment(message: WireSegment): Segment {
  const { span, box } = message;
  return {
    index: message.index,
    phrase: message.phrase,
    span: [span?.start ?? 0, span?.end ?? 0],
    mask: toMask(message),
    box: [box?.x ?? 0, box?.y ?? 0, box?.width ?? 0, box?.height ?? 0],
    area: Number(message.area),
    score: message.score,
  };
}

/** This client always asks for RLE; only a job that another client submitted can have anything else. */
function toMask({ mask }: WireSegment): RunLengthMask {
  if (mask?.encoding.case !== 'rle') {
    throw new SegueError(
      'UNIMPLEMENTED',
      'This job was asked for masks in another format than RLE: read it over HTTP.',
    );
  }
  return { size: [mask.height, mask.width], counts: mask.encoding.value.counts };
}

function toError(message: WireError): ErrorBody {
  const code = message.code in ERROR_CODES ? (message.code as ErrorCode) : 'INTERNAL';
  return { code, message: message.message, details: {} };
}

function known<T>(value: T | undefined, what: string): T {
  if (value === undefined) throw unknown(what);
  return value;
}

function unknown(what: string): SegueError {
  return new SegueError(
    'UNIMPLEMENTED',
    `The service sent a new kind of ${what} that this client does not know: update it.`,
  );
}
