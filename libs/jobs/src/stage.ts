import type { Segment, SegmentationRequest, Span, Stage } from '@segue/core';

import type { Generated, TensorSetRef } from './record.js';

/** A `<SEG>` with the embedding that the decoder makes a mask of. */
export interface SegmentPrompt {
  readonly index: number;
  readonly phrase: string;
  readonly span: Span;
  /** float32[promptSize] */
  readonly embedding: Float32Array;
}

/** What every stage gets to see of its job. */
interface TaskContext {
  readonly jobId: string;
  readonly request: SegmentationRequest;
  /** Milliseconds since the epoch; pass it on as the gRPC deadline. */
  readonly deadlineAtMs: number;
  /** 1 for the first time that a worker takes this task. */
  readonly attempt: number;
  /** Aborts when the job is cancelled or fails elsewhere, when its deadline passes, and when this worker stops. */
  readonly signal: AbortSignal;
}

export type EncodeContext = TaskContext;

export interface GenerateContext extends TaskContext {
  readonly encoded: TensorSetRef;
  /** Appends to the event log. What the log has already is left out, so that a second run goes on where the log stands. */
  writeText(piece: { readonly offset: number; readonly text: string }): Promise<void>;
  /** Starts a decode task, at once. Asking again for the same index changes nothing. */
  addDecode(prompt: SegmentPrompt): Promise<void>;
}

export interface DecodeContext extends TaskContext {
  readonly encoded: TensorSetRef;
  readonly prompt: SegmentPrompt;
}

export interface StageContexts {
  readonly encode: EncodeContext;
  readonly generate: GenerateContext;
  readonly decode: DecodeContext;
}

/** What a stage returns; the host writes it to the record and to the event log. */
export interface StageResults {
  readonly encode: TensorSetRef;
  readonly generate: Generated;
  readonly decode: Segment;
}

/**
 * The work of one stage. Throwing decides what happens next: reason TENSOR_GONE has the picture encoded again and runs the
 * task once more, a retryable `SegueError` has it tried again later, anything else fails the job.
 */
export type StageProcessor<S extends Stage> = (context: StageContexts[S]) => Promise<StageResults[S]>;

/** How one run of a task ended, for metrics. */
export interface StageRunReport {
  readonly outcome: 'done' | 'retried' | 'failed' | 'ended_elsewhere' | 'recomputing' | 'handed_back' | 'skipped';
  /** Milliseconds between adding the task and taking it. */
  readonly waitedMs: number;
  readonly ranMs: number;
}
