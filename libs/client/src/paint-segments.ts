import { paintMask, segmentColour, type Pixels, type Segment } from '@segue/core';

/**
 * Paints an answer's masks over its picture, in place, each in the colour that the page gives it. In a browser:
 * `paintSegments(imageData, answer.segments)`, then `putImageData`.
 */
export function paintSegments(
  picture: Pixels,
  segments: readonly Pick<Segment, 'index' | 'mask'>[],
  options: { readonly fill?: number } = {},
): void {
  for (const { index, mask } of segments) paintMask(picture, mask, segmentColour(index), options);
}
