import type { Answer, Job, JobEvent, ModelFacts, Segment } from '@segue/core';
import type { EncodedMask, EncodeMask } from '../segmentation/encoded-mask.js';
import type { Body } from './schemas.js';

export async function toAnswerBody(answer: Answer, encodeMask: EncodeMask): Promise<Body<'Answer'>> {
  const { usage } = answer;
  const { queue, encode, generate, decode, total } = answer.timingsMs;
  return {
    job_id: answer.jobId,
    text: answer.text,
    segments: await Promise.all(answer.segments.map((segment) => toSegmentBody(segment, encodeMask))),
    model: answer.model,
    finish_reason: answer.finishReason,
    timings_ms: { queue, encode, generate, decode, total },
    cache: { image: answer.cache.image, prefix: answer.cache.prefix },
    image_id: answer.imageId,
    ...(usage && { usage: { prompt_tokens: usage.promptTokens, completion_tokens: usage.completionTokens } }),
  };
}

export async function toJobBody(job: Job, encodeMask: EncodeMask): Promise<Body<'Job'>> {
  const { answer } = job;
  return { ...toJobHead(job), ...(answer && { answer: await toAnswerBody(answer, encodeMask) }) };
}

/** A job without its answer. */
export function toJobHead({ error, ...job }: Job): Body<'Job'> {
  return {
    job_id: job.jobId,
    state: job.state,
    created_at_ms: job.createdAtMs,
    deadline_at_ms: job.deadlineAtMs,
    instruction: job.instruction,
    image_id: job.imageId,
    ...(error && { error: toErrorBody(error) }),
  };
}

export async function toEventBody(event: JobEvent, encodeMask: EncodeMask): Promise<Body<'Event'>> {
  const place = { id: event.id, job_id: event.jobId, at_ms: event.atMs };
  switch (event.type) {
    case 'accepted':
      return { type: event.type, ...place, image_id: event.imageId };
    case 'starting':
      return { type: event.type, ...place, stages: [...event.stages] };
    case 'stage':
      return { type: event.type, ...place, stage: event.stage, done: event.done, cached: event.cached };
    case 'text':
      return { type: event.type, ...place, offset: event.offset, text: event.text };
    case 'segment':
      return { type: event.type, ...place, segment: await toSegmentBody(event.segment, encodeMask) };
    case 'completed':
      return { type: event.type, ...place, answer: await toAnswerBody(event.answer, encodeMask) };
    case 'failed':
      return { type: event.type, ...place, error: toErrorBody(event.error) };
    case 'restarted':
    case 'cancelled':
      return { type: event.type, ...place };
  }
}

export function toModelBody(model: ModelFacts, devices: readonly string[]): Body<'Model'> {
  return {
    name: model.name,
    version: model.version,
    description: model.description,
    modes: [...model.modes],
    is_default: model.isDefault,
    trained: model.trained,
    score_calibrated: model.scoreCalibrated,
    max_tokens: model.maxTokens,
    max_question_tokens: model.maxQuestionTokens,
    ...(model.knowledge && { knowledge: model.knowledge }),
    devices: [...devices],
  };
}

/** A model as OpenAI's clients parse it. */
export function toModelHead({ name }: ModelFacts): Body<'ModelHead'> {
  return { id: name, object: 'model', created: 0, owned_by: 'segue' };
}

export async function toSegmentBody(segment: Segment, encodeMask: EncodeMask): Promise<Body<'Segment'>> {
  const { index, phrase, span, mask, box, area, score } = segment;
  return { index, phrase, span: [...span], mask: toMaskBody(await encodeMask(mask)), box: [...box], area, score };
}

function toMaskBody(mask: EncodedMask): Body<'Mask'> {
  const size: [number, number] = [...mask.size];
  switch (mask.format) {
    case 'rle':
      return { size, counts: mask.counts };
    case 'png':
      return { size, png: Buffer.from(mask.png).toString('base64') };
    case 'polygon':
      return { size, polygon: mask.rings.map((ring) => [...ring]) };
  }
}

function toErrorBody({ code, message, details }: NonNullable<Job['error']>): Body<'Error'> {
  return { code, message, details: { ...details } as Body<'Error'>['details'] };
}
