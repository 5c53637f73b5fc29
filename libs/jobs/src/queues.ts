import type { Priority, Span, Stage } from '@segue/core';
import type { JobsOptions } from 'bullmq';

/** Queue of each stage, and of `segment`, the root of every flow, which the gateway works on. */
export const QUEUES = {
  segment: 'segue.segment',
  encode: 'segue.encode',
  generate: 'segue.generate',
  decode: 'segue.decode',
} as const satisfies Record<Stage | 'segment', string>;

export type QueueKey = keyof typeof QUEUES;
export const QUEUE_KEYS = Object.keys(QUEUES) as readonly QueueKey[];

/** What travels through a queue: references only, 4 KiB at most. */
export interface TaskData {
  readonly jobId: string;
}

/** A `<SEG>` on its way to the decoder. */
export interface DecodeTaskData extends TaskData {
  readonly index: number;
  readonly phrase: string;
  readonly span: Span;
  /** Of the bundle that wrote the embedding. */
  readonly digest: string;
  /** float32, little-endian, base64. */
  readonly embedding: string;
}

export const MAX_TASK_BYTES = 4096;

/** BullMQ takes the lower number first, but 0 (no priority) before all: every task therefore has one. */
const PRIORITY = { high: 1, normal: 2, low: 3 } as const satisfies Record<Priority, number>;

/** Options of every task of a flow. A task is removed when it ends: what must last is in the job record. */
export function taskOptions(priority: Priority, id: string): JobsOptions & { readonly jobId: string } {
  return {
    jobId: id,
    priority: PRIORITY[priority],
    attempts: 3,
    backoff: { type: 'exponential', delay: 200 },
    removeOnComplete: true,
    removeOnFail: true,
    failParentOnFailure: true,
    sizeLimit: MAX_TASK_BYTES,
    stackTraceLimit: 0,
  };
}
