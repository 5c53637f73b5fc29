import { SegueError, type Answer, type Job, type JobEvent, type ModelFacts, type Segment } from '@segue/core';

/** A model that the service can answer with. */
export interface Model extends ModelFacts {
  /** What its workers run on at the moment, each once: `cpu`, `cuda:0`. Empty while none is heard of. */
  readonly devices: readonly string[];
}

/** A picture that the service keeps for further questions. */
export interface StoredImage {
  readonly imageId: string;
  /** Pixels. */
  readonly width: number;
  readonly height: number;
}

const EVENT_TYPES: Readonly<Record<JobEvent['type'], true>> = {
  accepted: true,
  starting: true,
  stage: true,
  restarted: true,
  text: true,
  segment: true,
  completed: true,
  failed: true,
  cancelled: true,
};

/** `created_at_ms` becomes `createdAtMs`, at any depth; what an error's details hold stays as it was sent. */
export function camelCase(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(camelCase);
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).map(([key, item]) => [
    key.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase()),
    key === 'details' ? item : camelCase(item),
  ]);
  return Object.fromEntries(entries);
}

export function toAnswer(body: unknown): Answer {
  const answer = camelCase(body) as Answer;
  answer.segments.forEach(requireRunLengths);
  return answer;
}

export function toJob(body: unknown): Job {
  const job = camelCase(body) as Job;
  job.answer?.segments.forEach(requireRunLengths);
  return job;
}

/** Jobs come without their answers. */
export function toJobPage(body: unknown): { readonly jobs: readonly Job[]; readonly nextPageToken?: string } {
  return camelCase(body) as { jobs: Job[]; nextPageToken?: string };
}

/** @returns undefined for a kind of event that is newer than this client. */
export function toEvent(body: unknown): JobEvent | undefined {
  const event = camelCase(body) as JobEvent;
  if (!(event.type in EVENT_TYPES)) return undefined;
  if (event.type === 'segment') requireRunLengths(event.segment);
  if (event.type === 'completed') event.answer.segments.forEach(requireRunLengths);
  return event;
}

/** This client always asks for RLE; only a job that another client submitted can have anything else. */
function requireRunLengths({ mask }: Segment): void {
  if (typeof mask.counts !== 'string') {
    throw new SegueError('UNIMPLEMENTED', 'This job was asked for masks in another format than RLE: ask for it again.');
  }
}
