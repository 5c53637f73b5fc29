export type Mode = 'answer' | 'mask_only';
export type MaskFormat = 'rle' | 'png' | 'polygon';
export type Priority = 'low' | 'normal' | 'high';

/** An earlier question about the same picture and the answer that Segue gave. */
export interface Turn {
  readonly instruction: string;
  readonly answer: string;
}

/** A request after validation: every option completed that does not depend on the model's version, the picture stored. */
export interface SegmentationRequest {
  /** SHA-256 of the picture's bytes, hex. */
  readonly imageId: string;
  readonly instruction: string;
  readonly history: readonly Turn[];
  readonly mode: Mode;
  /** Name of the bundle. */
  readonly model: string;
  /** Tokens of the answer at most; as many as the model writes when left out. */
  readonly maxTokens?: number;
  readonly maskFormat: MaskFormat;
  /** How far in pixels a polygon may run beside its mask; exact when left out. */
  readonly polygonTolerance?: number;
  readonly priority: Priority;
}
