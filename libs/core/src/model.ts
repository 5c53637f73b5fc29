import type { Mode } from './request.js';

/** What people should know of a model before they ask. */
export interface Knowledge {
  /** Names of the kinds of things that it can find. */
  kinds: string[];
  /** Languages of its questions and answers, by their English names. */
  languages: string[];
  /** What it cannot do: one sentence each. */
  limits: string[];
}

/** What a model says of itself. */
export interface ModelFacts {
  readonly name: string;
  readonly version: string;
  readonly description: string;
  readonly modes: readonly Mode[];
  /** Used when a request names no model. */
  readonly isDefault: boolean;
  /** False for random weights, which exist for tests alone. */
  readonly trained: boolean;
  /** Whether a segment's score is a calibrated probability. */
  readonly scoreCalibrated: boolean;
  /** Longest answer, and longest question with its conversation, in tokens. */
  readonly maxTokens: number;
  readonly maxQuestionTokens: number;
  /** What people should know of it before they ask. */
  readonly knowledge?: Knowledge;
}
