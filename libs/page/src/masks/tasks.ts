import type { RunLengthMask } from '@segue/core/mask';

/** A mask and the colour (#rrggbb) that it is painted in. */
export interface ColouredMask {
  readonly mask: RunLengthMask;
  readonly colour: string;
}

/** What the worker does, by name: what it takes and what it gives back. */
export interface MaskTasks {
  /** Paints a mask at the size of the screen, and tells where its runs end. */
  paint(input: ColouredMask): { readonly bitmap: ImageBitmap; readonly ends: Float64Array };
  /** A PNG of the picture with masks over it. */
  overlay(input: { readonly picture: Blob; readonly masks: readonly ColouredMask[] }): Blob;
  /** A PNG of the picture, transparent outside the masks. */
  cutOut(input: { readonly picture: Blob; readonly masks: readonly RunLengthMask[] }): Blob;
  /** A PNG of the masks together, white on black. */
  maskPng(input: { readonly masks: readonly RunLengthMask[] }): Blob;
}

export type TaskName = keyof MaskTasks;
export type TaskInput<N extends TaskName> = Parameters<MaskTasks[N]>[0];
export type TaskOutput<N extends TaskName> = ReturnType<MaskTasks[N]>;

export interface TaskRequest<N extends TaskName = TaskName> {
  readonly id: number;
  readonly name: N;
  readonly input: TaskInput<N>;
}

export type TaskReply = { readonly id: number } & (
  { readonly output: TaskOutput<TaskName> } | { readonly error: string }
);
