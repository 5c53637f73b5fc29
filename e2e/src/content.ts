import type { Answer } from '@segue/core';

/**
 * What two answers to one question have in common, whoever computed them and in whatever batch: all but the times. A score
 * is a float32 whose last digits depend on the batch.
 */
export function content({ text, segments, finishReason }: Answer): Pick<Answer, 'text' | 'segments' | 'finishReason'> {
  const rounded = segments.map((segment) => ({ ...segment, score: Number(segment.score.toFixed(4)) }));
  return { text, segments: rounded, finishReason };
}
