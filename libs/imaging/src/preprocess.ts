import { fitSize, frameSize, type ImageInput } from '@segue/bundle';
import { releaseMemory, type Tensor } from '@segue/tensors';
import type { RgbImage } from './picture.js';
import { resize, type Window } from './resize.js';

export interface PreprocessedPicture<D extends PixelType> {
  /** D[1, 3, height, width] */
  readonly tensor: Tensor<D>;
  /** height, width of the resized picture, before crop and padding */
  readonly resized: readonly [height: number, width: number];
  /** height, width of the picture */
  readonly original: readonly [height: number, width: number];
}

/** How a graph takes pixels; as bytes only where neither rescaling nor normalising changes them. */
export type PixelType = 'float32' | 'uint8';

/**
 * Turns a picture into the input of a graph, by the manifest's fixed order:
 * resize, crop, pad (or later), rescale, normalise, pad with 0.
 * @throws the signal's reason once that is aborted.
 */
export async function preprocess<D extends PixelType = 'float32'>(
  image: RgbImage,
  spec: ImageInput,
  dtype = 'float32' as D,
  signal?: AbortSignal,
): Promise<PreprocessedPicture<D>> {
  const original = [image.height, image.width] as const;
  const resized = fitSize(spec, original);
  const window = centre(resized, spec.centreCrop ?? resized);
  const picture = await resize(image, resized, spec.resize.filter, { window, signal });
  const [height, width] = frameSize(spec);
  const data = dtype === 'uint8' ? new Uint8Array(3 * height * width) : new Float32Array(3 * height * width);
  for (let channel = 0; channel < 3; channel++) {
    const levels = levelsOf(spec, channel);
    const plane = data.subarray(channel * height * width, (channel + 1) * height * width);
    // After normalising, the padding is the 0 that the plane is made of.
    if (spec.pad?.when === 'before_normalise') plane.fill(normalise(spec, channel, spec.pad.value[channel] ?? 0));
    place(picture, channel, plane, width, levels);
  }
  if (picture !== image) releaseMemory(picture.data);
  return { tensor: { dtype, shape: [1, 3, height, width], data } as Tensor<PixelType> as Tensor<D>, resized, original };
}

/** Puts a channel of a picture into the top left of a plane of this width. */
function place(
  picture: RgbImage,
  channel: number,
  plane: Uint8Array | Float32Array,
  width: number,
  levels: Float32Array,
): void {
  for (let y = 0; y < picture.height; y++) {
    let at = y * picture.width * 3 + channel;
    for (let x = y * width; x < y * width + picture.width; x++, at += 3) plane[x] = levels[picture.data[at]!]!;
  }
}

/** What each of the 256 values of a channel becomes. */
function levelsOf(spec: ImageInput, channel: number): Float32Array {
  return Float32Array.from({ length: 256 }, (_, value) => normalise(spec, channel, value));
}

function normalise({ rescale, mean, std }: ImageInput, channel: number, value: number): number {
  return (value * rescale - mean[channel]!) / std[channel]!;
}

/** The middle of a picture; an odd margin is smaller at the top and the left. */
function centre(
  [fullHeight, fullWidth]: readonly [number, number],
  [height, width]: readonly [number, number],
): Window {
  return { top: Math.floor((fullHeight - height) / 2), left: Math.floor((fullWidth - width) / 2), height, width };
}
