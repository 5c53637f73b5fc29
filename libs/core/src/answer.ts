import type { RunLengthMask } from './mask.js';

/** Half-open range of Unicode code points of the answer's text. */
export type Span = readonly [start: number, end: number];

/** x, y, width, height in pixels. */
export type Box = readonly [x: number, y: number, width: number, height: number];

/** What one `<SEG>` of the answer stands for. */
export interface Segment {
  /** 0 for the first `<SEG>`. */
  readonly index: number;
  readonly phrase: string;
  readonly span: Span;
  readonly mask: RunLengthMask;
  readonly box: Box;
  /** Pixels in the mask. */
  readonly area: number;
  /** 0..1 */
  readonly score: number;
}

export type FinishReason = 'stop' | 'length' | 'mask_only';

/** Milliseconds. */
export interface Timings {
  readonly queue: number;
  readonly encode: number;
  readonly generate: number;
  readonly decode: number;
  readonly total: number;
}

export interface CacheUse {
  readonly image: boolean;
  readonly prefix: boolean;
}

/** Tokens that the language model has read, those of the picture included, and written. */
export interface TokenUsage {
  readonly promptTokens: number;
  readonly completionTokens: number;
}

/** An answer with its masks in the canonical encoding (RLE); edges convert to the asked format. */
export interface Answer {
  readonly jobId: string;
  readonly text: string;
  readonly segments: readonly Segment[];
  /** `name@version` */
  readonly model: string;
  readonly finishReason: FinishReason;
  readonly timingsMs: Timings;
  readonly cache: CacheUse;
  readonly imageId: string;
  /** Absent where a gateway of an older version has put the answer together. */
  readonly usage?: TokenUsage;
}
