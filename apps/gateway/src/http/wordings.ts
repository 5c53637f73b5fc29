import type { SegueError } from '@segue/core';
import { toOpenAiError } from '@segue/dialects';

/** How other protocols tell of a failure, by the addresses that are theirs. */
export interface Wording {
  readonly addresses: RegExp;
  readonly bodyOf: (error: SegueError) => object;
}

export const WORDINGS: readonly Wording[] = [
  { addresses: /^\/v1\/(chat\/completions|batches|files)\b/, bodyOf: toOpenAiError },
  // The Open Inference Protocol.
  { addresses: /^\/v2\b/, bodyOf: ({ message, code }) => ({ error: message, code }) },
];
