import type { TensorSet, TensorSetRef } from './tensor-set.js';

/** A decoded picture: rows of 8-bit red, green, blue from the top. */
export interface RgbImage {
  readonly width: number;
  readonly height: number;
  readonly data: Uint8Array;
}

/** Where the encode stage gets its pictures from. */
export interface PictureSource {
  /** @throws SegueError NOT_FOUND when the picture is not kept (any more); the signal's reason once that is aborted. */
  picture(imageId: string, signal?: AbortSignal): Promise<RgbImage>;
}

/** Where the encode stage leaves what it computed. */
export interface TensorSink {
  /** Where the set is already, if somebody holds it. */
  find(key: string): Promise<TensorSetRef | undefined>;
  put(key: string, tensors: TensorSet): Promise<TensorSetRef>;
}

/** How long a pull may take, and what ends it before. */
export interface PullOptions {
  /** Milliseconds since the epoch by this process' clock. */
  readonly deadlineAtMs: number;
  readonly signal?: AbortSignal;
}

/** Where the other stages get tensors from. */
export interface TensorSource {
  /**
   * The named tensors of a set, and perhaps more.
   * @throws SegueError UNAVAILABLE with reason TENSOR_GONE when nobody holds them any more.
   */
  pull(ref: TensorSetRef, names: readonly string[], options: PullOptions): Promise<TensorSet>;
}

/** Size of a picture in pixels. */
export interface PictureSize {
  readonly width: number;
  readonly height: number;
}

/** Where the decode stage learns how large a picture is. */
export interface PictureSizes {
  /** @throws SegueError NOT_FOUND when the picture is not kept (any more). */
  sizeOf(imageId: string): Promise<PictureSize>;
}
