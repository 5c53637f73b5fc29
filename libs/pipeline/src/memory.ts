import { SegueError } from '@segue/core';
import type {
  PictureSize,
  PictureSizes,
  PictureSource,
  RgbImage,
  TensorSet,
  TensorSetRef,
  TensorSink,
  TensorSource,
} from '@segue/stages';

/** One picture and its tensors, for as long as a question takes. */
export class Memory implements PictureSource, PictureSizes, TensorSink, TensorSource {
  readonly #picture: RgbImage;
  readonly #sets = new Map<string, TensorSet>();

  constructor(picture: RgbImage) {
    this.#picture = picture;
  }

  async picture(): Promise<RgbImage> {
    return this.#picture;
  }

  async sizeOf(): Promise<PictureSize> {
    return this.#picture;
  }

  async find(): Promise<undefined> {
    return undefined;
  }

  async put(key: string, tensors: TensorSet): Promise<TensorSetRef> {
    this.#sets.set(key, tensors);
    return { key, owner: 'memory', cached: false };
  }

  async pull({ key }: TensorSetRef): Promise<TensorSet> {
    const tensors = this.#sets.get(key);
    if (tensors) return tensors;
    throw new SegueError('UNAVAILABLE', 'The encoded picture was lost. Try again.', { reason: 'TENSOR_GONE' });
  }
}
