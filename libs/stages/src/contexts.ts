import type { FinishReason, Segment, SegmentationRequest, Span, Stage } from '@segue/core';
import type { TensorSetRef } from './tensor-set.js';

/** A piece of the answer's text; `offset` counts the code points before it. */
export interface TextPiece {
  readonly offset: number;
  readonly text: string;
}

/** What a `<SEG>` of the answer stands for, with the embedding that the decoder makes a mask of. */
export interface SegmentPrompt {
  /** 0 for the first `<SEG>`. */
  readonly index: number;
  /** Empty when the words before `<SEG>` hold no phrase. */
  readonly phrase: string;
  /** Where the phrase is in the answer's text; the `<SEG>` itself when there is no phrase. */
  readonly span: Span;
  /** `float32[promptSize]` */
  readonly embedding: Float32Array;
}

/** What every stage gets to see of its job. */
export interface EncodeContext {
  readonly request: Pick<SegmentationRequest, 'imageId' | 'instruction' | 'history' | 'mode' | 'maxTokens' | 'model'>;
  /** Milliseconds since the epoch by this process' clock; pass it on as the gRPC deadline. */
  readonly deadlineAtMs: number;
  /** Aborts when the job is cancelled or fails elsewhere, when its deadline passes, and when this worker stops. */
  readonly signal: AbortSignal;
}

export interface GenerateContext extends EncodeContext {
  readonly encoded: TensorSetRef;
  /** Appends to the answer. What is there already is left out, so that a second run goes on where the first one stood. */
  writeText(piece: TextPiece): Promise<void>;
  /** Has a mask made, at once. Asking again for the same index changes nothing. */
  addDecode(prompt: SegmentPrompt): Promise<void>;
}

export interface DecodeContext extends EncodeContext {
  readonly encoded: TensorSetRef;
  readonly prompt: SegmentPrompt;
}

export interface StageContexts {
  readonly encode: EncodeContext;
  readonly generate: GenerateContext;
  readonly decode: DecodeContext;
}

/** What the language model leaves behind when its answer has ended. */
export interface Generated {
  readonly text: string;
  /** How many `<SEG>` the text holds. */
  readonly segments: number;
  readonly finishReason: FinishReason;
  /** `name@version` of the bundle. */
  readonly model: string;
  readonly promptTokens: number;
  readonly tokens: number;
  readonly prefixCached: boolean;
}

/** What a stage returns. */
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
