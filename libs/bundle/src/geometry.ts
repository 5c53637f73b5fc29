import type { ImageInput } from './manifest.js';

/**
 * The size to which a picture is resized, before any crop or padding. Both sizes are height, width in pixels.
 *
 * The order of the arithmetic is that of the two preprocessors that are followed to the bit: Segment Anything multiplies
 * by a quotient, CLIP divides a product.
 */
export function fitSize(
  { resize }: ImageInput,
  [height, width]: readonly [number, number],
): [height: number, width: number] {
  if (resize.rule === 'stretch') return [resize.size, resize.size];
  const reference = resize.rule === 'longest_side' ? Math.max(height, width) : Math.min(height, width);
  const scale = resize.size / reference;
  const fit = (side: number): number =>
    Math.max(1, Math.floor(resize.rounding === 'down' ? (resize.size * side) / reference : side * scale + 0.5));
  return [fit(height), fit(width)];
}

/** Whether the pixels of an image input are the bytes of the resized picture: rescaling and normalising change nothing. */
export function keepsBytes({ rescale, mean, std }: ImageInput): boolean {
  return rescale === 1 && mean.every((value) => value === 0) && std.every((value) => value === 1);
}

/** Height and width of the tensor that an image input becomes. */
export function frameSize({ resize, centreCrop, pad }: ImageInput): readonly [height: number, width: number] {
  return pad?.to ?? centreCrop ?? [resize.size, resize.size];
}
