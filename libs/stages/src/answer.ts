import type { Answer, Segment, Timings } from '@segue/core';
import type { Generated } from './contexts.js';

/** What the stages left behind. */
export interface AnswerParts {
  readonly jobId: string;
  readonly imageId: string;
  readonly generated: Generated;
  /** In any order. */
  readonly segments: readonly Segment[];
  /** Whether the encoded picture was there without computing anything. */
  readonly imageCached: boolean;
  readonly timingsMs: Timings;
}

/** Puts the answer together. @throws Error when a segment of the text is missing. */
export function assembleAnswer(parts: AnswerParts): Answer {
  const { jobId, imageId, generated, imageCached, timingsMs } = parts;
  const segments = parts.segments.toSorted((a, b) => a.index - b.index);
  if (segments.length !== generated.segments) {
    throw new Error(`job ${jobId} has ${segments.length} segments where its text has ${generated.segments}`);
  }
  return {
    jobId,
    text: generated.text,
    segments,
    model: generated.model,
    finishReason: generated.finishReason,
    timingsMs,
    cache: { image: imageCached, prefix: generated.prefixCached },
    imageId,
    usage: { promptTokens: generated.promptTokens, completionTokens: generated.tokens },
  };
}
