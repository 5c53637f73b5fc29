import type { RunLengthMask } from '@segue/core/mask';

/*
 * Bodies of the HTTP interface, as far as the page reads them; the OpenAPI document describes them in full.
 */

export interface Segment {
  readonly index: number;
  readonly phrase: string;
  /** Half-open range of code points of the text. */
  readonly span: readonly [start: number, end: number];
  readonly mask: RunLengthMask;
  readonly box: readonly [x: number, y: number, width: number, height: number];
  readonly area: number;
  /** 0..1 */
  readonly score: number;
}

/** Milliseconds. */
export interface Timings {
  readonly queue: number;
  readonly encode: number;
  readonly generate: number;
  readonly decode: number;
  readonly total: number;
}

export interface Answer {
  readonly job_id: string;
  readonly text: string;
  readonly segments: readonly Segment[];
  /** `name@version` */
  readonly model: string;
  readonly timings_ms: Timings;
  readonly cache: { readonly image: boolean; readonly prefix: boolean };
  readonly image_id: string;
}

export interface ErrorBody {
  readonly message: string;
  readonly details: Readonly<Record<string, unknown>>;
}

export interface Job {
  readonly job_id: string;
  readonly state: 'queued' | 'running' | 'completed' | 'failed' | 'cancelled';
  readonly instruction: string;
  readonly image_id: string;
  readonly answer?: Answer;
  readonly error?: ErrorBody;
}

export type Stage = 'encode' | 'generate' | 'decode';

export type JobEvent =
  | { readonly type: 'accepted'; readonly image_id: string }
  /** No worker of these stages runs yet. */
  | { readonly type: 'starting'; readonly stages: readonly Stage[] }
  | { readonly type: 'stage'; readonly stage: Stage; readonly done: boolean }
  /** The answer is begun anew: what came before counts no more. */
  | { readonly type: 'restarted' }
  | { readonly type: 'text'; readonly offset: number; readonly text: string }
  | { readonly type: 'segment'; readonly segment: Segment }
  | { readonly type: 'completed'; readonly answer: Answer }
  | { readonly type: 'failed'; readonly error: ErrorBody }
  | { readonly type: 'cancelled' };

export interface Model {
  readonly name: string;
  readonly version: string;
  readonly description: string;
  readonly is_default: boolean;
  readonly score_calibrated: boolean;
  readonly knowledge?: {
    readonly kinds: readonly string[];
    readonly languages: readonly string[];
    readonly limits: readonly string[];
  };
}

/** An earlier question about the same picture, and its answer. */
export interface Exchange {
  readonly instruction: string;
  readonly answer: string;
}
