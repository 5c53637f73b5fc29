import type { Priority, Stage } from '@segue/core';
import { SCHEMA } from '@segue/redis';
import type { SegmentPrompt } from '@segue/stages';
import type { JobsOptions } from 'bullmq';
import { z } from 'zod';
import { isJobId } from './job-id.js';

/** Queue of each stage, and of `segment`, the root of every flow, which the gateway works on. */
export const QUEUES = {
  segment: 'segue.segment',
  encode: 'segue.encode',
  generate: 'segue.generate',
  decode: 'segue.decode',
} as const satisfies Record<Stage | 'segment', string>;

export type QueueKey = keyof typeof QUEUES;
export const QUEUE_KEYS = Object.keys(QUEUES) as readonly QueueKey[];

const taskData = z.object({
  /** Of what wrote it; see `SCHEMA`. */
  schema: z.int().default(1),
  jobId: z.string().refine(isJobId),
  /** The trace that the task belongs to, where there is one. */
  trace: z.record(z.string(), z.string()).optional(),
});

const decodeTaskData = taskData.extend({
  index: z.int().nonnegative(),
  phrase: z.string(),
  span: z.tuple([z.int(), z.int()]).readonly(),
  /** Of the bundle that wrote the embedding. */
  digest: z.string(),
  /** Of the answer that the segment belongs to. */
  epoch: z.int().nonnegative(),
  /** Milliseconds since the epoch by Redis' clock. */
  addedAtMs: z.number(),
  /** float32, little-endian, base64. */
  embedding: z.base64(),
});

/** What travels through a queue: references only, 4 KiB at most. */
export type TaskData = Readonly<z.infer<typeof taskData>>;
/** A `<SEG>` on its way to the decoder. */
export type DecodeTaskData = Readonly<z.infer<typeof decodeTaskData>>;

/** Nothing for data that no version of this library has put in. */
export function parseTaskData(data: unknown): TaskData | undefined {
  return taskData.safeParse(data).data;
}

const versioned = z.looseObject({ schema: z.number() });

/** Whether the data was written by a later version of this library. */
export function isOfLaterVersion(data: unknown): boolean {
  const { data: found } = versioned.safeParse(data);
  return found !== undefined && found.schema > SCHEMA;
}

/** @throws ZodError for data of another version. */
export function parseDecodeTask(data: unknown): DecodeTaskData & { readonly prompt: SegmentPrompt } {
  const task = decodeTaskData.parse(data);
  const { index, phrase, span } = task;
  // Copied, because the bytes need not lie on a multiple of four.
  const bytes = Uint8Array.from(Buffer.from(task.embedding, 'base64'));
  return { ...task, prompt: { index, phrase, span, embedding: new Float32Array(bytes.buffer) } };
}

export function embeddingToText({ buffer, byteOffset, byteLength }: Float32Array): string {
  return Buffer.from(buffer, byteOffset, byteLength).toString('base64');
}

const MAX_TASK_BYTES = 4096;

/** BullMQ takes the lower number first, but 0 (no priority) before all: every task therefore has one. */
const RANK = { high: 1, normal: 2, low: 3 } as const satisfies Record<Priority, number>;
const RANKS = 3;
/** BullMQ's own limit. Who comes after so many turns without one idle moment of the whole service is served as he came. */
const LAST_PLACE = 2 ** 21;

/** Where a job stands in every queue. */
export interface Place {
  readonly priority: Priority;
  /** See `turn-lua.ts`; a job of an earlier version has none. */
  readonly turn?: number;
}

/** Place of a job as a number for BullMQ: by turn, and within a turn by priority. */
function placeOf({ priority, turn = 0 }: Place): number {
  return Math.min(turn * RANKS + RANK[priority], LAST_PLACE);
}

/**
 * Options of every task of a flow. A task is removed when it ends: what must last is in the job record. There is no
 * backoff: BullMQ would keep it by the clock of one worker and end it by that of another; the host pauses instead.
 */
export function taskOptions(place: Place, id: string): JobsOptions & { readonly jobId: string } {
  return {
    jobId: id,
    priority: placeOf(place),
    attempts: 3,
    removeOnComplete: true,
    removeOnFail: true,
    failParentOnFailure: true,
    sizeLimit: MAX_TASK_BYTES,
    stackTraceLimit: 0,
  };
}
