import type { RunLengthMask, SegmentationRequest } from '@segue/core';
import type { Renderer } from '@segue/imaging';

type Size = RunLengthMask['size'];

/** A mask as a client asked for it. */
export type EncodedMask =
  | { readonly format: 'rle'; readonly size: Size; readonly counts: string }
  | { readonly format: 'png'; readonly size: Size; readonly png: Uint8Array }
  /** Rings x0, y0, x1, y1, ... in pixels. */
  | { readonly format: 'polygon'; readonly size: Size; readonly rings: readonly (readonly number[])[] };

/** Makes masks as one request asked for them. */
export type EncodeMask = (mask: RunLengthMask) => Promise<EncodedMask>;

export type MaskOptions = Pick<SegmentationRequest, 'maskFormat'> & {
  readonly polygonTolerance?: SegmentationRequest['polygonTolerance'] | undefined;
};

/** Jobs keep their masks as RLE; other formats are made for the reader. */
export function maskEncoder(renderer: Renderer, { maskFormat, polygonTolerance = 0 }: MaskOptions): EncodeMask {
  return async (mask) => {
    const { size } = mask;
    switch (maskFormat) {
      case 'rle':
        return { format: maskFormat, size, counts: mask.counts };
      case 'png':
        return { format: maskFormat, size, png: await renderer.png(mask) };
      case 'polygon':
        return { format: maskFormat, size, rings: await renderer.polygon(mask, polygonTolerance) };
    }
  };
}
