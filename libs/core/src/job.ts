import type { Answer, Segment } from './answer.js';
import type { ErrorBody } from './errors.js';

export type JobState = 'queued' | 'running' | 'completed' | 'failed' | 'cancelled';
/** In the order in which a job goes through them. */
export const STAGES = ['encode', 'generate', 'decode'] as const;
export type Stage = (typeof STAGES)[number];

/** A job as clients see it. */
export interface Job {
  readonly jobId: string;
  readonly state: JobState;
  /** Milliseconds since the epoch. */
  readonly createdAtMs: number;
  readonly deadlineAtMs: number;
  /** What was asked, about which picture. */
  readonly instruction: string;
  readonly imageId: string;
  readonly answer?: Answer;
  readonly error?: ErrorBody;
}

/** What happened, without its place in the log. */
export type JobEventBody =
  | { readonly type: 'accepted'; readonly imageId: string }
  /** Of these stages no worker runs yet; they are being started, and the job waits for them. */
  | { readonly type: 'starting'; readonly stages: readonly Stage[] }
  | { readonly type: 'stage'; readonly stage: Stage; readonly done: boolean; readonly cached: boolean }
  /** `offset`: code points of the answer before this piece. */
  | { readonly type: 'text'; readonly offset: number; readonly text: string }
  | { readonly type: 'segment'; readonly segment: Segment }
  /** The answer is written anew: text and segments so far count no more. */
  | { readonly type: 'restarted' }
  | { readonly type: 'completed'; readonly answer: Answer }
  | { readonly type: 'failed'; readonly error: ErrorBody }
  | { readonly type: 'cancelled' };

/** An entry of a job's event log. */
export type JobEvent = JobEventBody & { readonly id: string; readonly jobId: string; readonly atMs: number };

/** Whether this event is a job's last. */
export function isTerminal(event: JobEventBody): boolean {
  return event.type === 'completed' || event.type === 'failed' || event.type === 'cancelled';
}
