import { create, type MessageInitShape } from '@bufbuild/protobuf';
import {
  AnswerSchema,
  JobEventSchema,
  JobSchema,
  JobState as WireState,
  MaskFormat as WireFormat,
  Mode as WireMode,
  ModelSchema,
  Priority as WirePriority,
  Stage as WireStage,
  type Answer as WireAnswer,
  type Job as WireJob,
  type JobEvent as WireEvent,
  type MaskSchema,
  type Model as WireModel,
  SegmentRequestSchema,
  type SegmentRequest,
  type SegmentSchema,
} from '@segue/contracts';
import type {
  Answer,
  ErrorBody,
  Job,
  JobEvent,
  JobState,
  MaskFormat,
  Mode,
  ModelFacts,
  Priority,
  Segment,
  Stage,
} from '@segue/core';
import { z } from 'zod';
import type { EncodedMask, EncodeMask } from '../segmentation/encoded-mask.js';
import { OPTIONS, toCommand, type Option, type SegmentationCommand } from '../segmentation/command.js';
import { parseOptions } from '../segmentation/parse-options.js';

const MODES: Record<Mode, WireMode> = { answer: WireMode.ANSWER, mask_only: WireMode.MASK_ONLY };
const FORMATS: Record<MaskFormat, WireFormat> = {
  rle: WireFormat.RLE,
  png: WireFormat.PNG,
  polygon: WireFormat.POLYGON,
};
const PRIORITIES: Record<Priority, WirePriority> = {
  low: WirePriority.LOW,
  normal: WirePriority.NORMAL,
  high: WirePriority.HIGH,
};
const STATES: Record<JobState, WireState> = {
  queued: WireState.QUEUED,
  running: WireState.RUNNING,
  completed: WireState.COMPLETED,
  failed: WireState.FAILED,
  cancelled: WireState.CANCELLED,
};
const STAGES: Record<Stage, WireStage> = {
  encode: WireStage.ENCODE,
  generate: WireStage.GENERATE,
  decode: WireStage.DECODE,
};

const OptionsSchema = z.strictObject(OPTIONS);

/** An option as the protocol's definition spells it. */
export function spell(option: Option): string {
  return SegmentRequestSchema.field[option].name;
}

/** @throws SegueError INVALID_ARGUMENT */
export function fromWireRequest(request: SegmentRequest): SegmentationCommand {
  const { picture } = request;
  const raw = {
    imageId: picture.case === 'imageId' ? picture.value : undefined,
    instruction: request.instruction,
    history: request.history.map(({ instruction, answer }) => ({ instruction, answer })),
    mode: wordOf(MODES, request.mode),
    model: given(request.model),
    maxTokens: given(request.maxTokens),
    maskFormat: wordOf(FORMATS, request.maskFormat),
    polygonTolerance: given(request.polygonTolerance),
    priority: wordOf(PRIORITIES, request.priority),
    timeoutMs: given(Number(request.timeoutMs)),
    idempotencyKey: given(request.idempotencyKey),
    webhookUrl: given(request.webhookUrl),
  };
  const image = picture.case === 'image' ? picture.value : undefined;
  return toCommand(image, parseOptions(OptionsSchema, raw, spell), spell);
}

/** Nothing where proto3 has its zero value. */
function given<T extends string | number>(value: T): T | undefined {
  return value === 0 || value === '' ? undefined : value;
}

/** The option's word; a number that the enum does not have stays as it is, and is refused with the other bad options. */
function wordOf(words: Readonly<Record<string, number>>, value: number): string | number | undefined {
  if (value === 0) return undefined;
  return Object.keys(words).find((word) => words[word] === value) ?? value;
}

export async function toWireAnswer(answer: Answer, encodeMask: EncodeMask): Promise<WireAnswer> {
  const { queue, encode, generate, decode, total } = answer.timingsMs;
  return create(AnswerSchema, {
    jobId: answer.jobId,
    text: answer.text,
    segments: await Promise.all(answer.segments.map((segment) => toWireSegment(segment, encodeMask))),
    model: answer.model,
    finishReason: answer.finishReason,
    timingsMs: { queue, encode, generate, decode, total },
    cache: { image: answer.cache.image, prefix: answer.cache.prefix },
    imageId: answer.imageId,
    ...(answer.usage && { usage: answer.usage }),
  });
}

export async function toWireJob({ answer, error, ...job }: Job, encodeMask: EncodeMask): Promise<WireJob> {
  return create(JobSchema, {
    jobId: job.jobId,
    state: STATES[job.state],
    createdAtMs: BigInt(job.createdAtMs),
    deadlineAtMs: BigInt(job.deadlineAtMs),
    instruction: job.instruction,
    imageId: job.imageId,
    ...(answer && { answer: await toWireAnswer(answer, encodeMask) }),
    ...(error && { error: toWireError(error) }),
  });
}

export async function toWireEvent(event: JobEvent, encodeMask: EncodeMask): Promise<WireEvent> {
  const { id, jobId, atMs } = event;
  return create(JobEventSchema, { id, jobId, atMs: BigInt(atMs), event: await toBody(event, encodeMask) });
}

type Body = NonNullable<MessageInitShape<typeof JobEventSchema>['event']>;

async function toBody(event: JobEvent, encodeMask: EncodeMask): Promise<Body> {
  switch (event.type) {
    case 'accepted':
      return { case: 'accepted', value: { imageId: event.imageId } };
    case 'starting':
      return { case: 'starting', value: { stages: event.stages.map((stage) => STAGES[stage]) } };
    case 'stage':
      return { case: 'stage', value: { stage: STAGES[event.stage], done: event.done, cached: event.cached } };
    case 'text':
      return { case: 'text', value: { offset: event.offset, text: event.text } };
    case 'segment':
      return { case: 'segment', value: await toWireSegment(event.segment, encodeMask) };
    case 'restarted':
      return { case: 'restarted', value: {} };
    case 'completed':
      return { case: 'completed', value: await toWireAnswer(event.answer, encodeMask) };
    case 'failed':
      return { case: 'failed', value: toWireError(event.error) };
    case 'cancelled':
      return { case: 'cancelled', value: {} };
  }
}

async function toWireSegment(
  segment: Segment,
  encodeMask: EncodeMask,
): Promise<MessageInitShape<typeof SegmentSchema>> {
  const { index, phrase, span, mask, box, area, score } = segment;
  return {
    index,
    phrase,
    span: { start: span[0], end: span[1] },
    mask: toWireMask(await encodeMask(mask)),
    box: { x: box[0], y: box[1], width: box[2], height: box[3] },
    area: BigInt(area),
    score,
  };
}

function toWireMask(mask: EncodedMask): MessageInitShape<typeof MaskSchema> {
  const [height, width] = mask.size;
  switch (mask.format) {
    case 'rle':
      return { height, width, encoding: { case: 'rle', value: { counts: mask.counts } } };
    case 'png':
      return { height, width, encoding: { case: 'png', value: mask.png } };
    case 'polygon': {
      const rings = mask.rings.map((points) => ({ points: [...points] }));
      return { height, width, encoding: { case: 'polygon', value: { rings } } };
    }
  }
}

function toWireError({ code, message }: ErrorBody): { code: string; message: string } {
  return { code, message };
}

export function toWireModel(model: ModelFacts, devices: readonly string[]): WireModel {
  return create(ModelSchema, { ...model, devices: [...devices], modes: model.modes.map((mode) => MODES[mode]) });
}
