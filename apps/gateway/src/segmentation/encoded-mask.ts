import { maskToPolygon, type MaskFormat, type RunLengthMask, type Segment } from '@segue/core';
import { maskToPng } from '@segue/imaging';

type Size = RunLengthMask['size'];

/** A mask as a client asked for it. */
export type EncodedMask =
  | { readonly format: 'rle'; readonly size: Size; readonly counts: string }
  | { readonly format: 'png'; readonly size: Size; readonly png: Buffer }
  /** Rings x0, y0, x1, y1, ... in pixels. */
  | { readonly format: 'polygon'; readonly size: Size; readonly rings: readonly (readonly number[])[] };

export interface EncodedSegment extends Omit<Segment, 'mask'> {
  readonly mask: EncodedMask;
}

/** Jobs keep their masks as RLE; other formats are made for the reader. */
export async function encodeSegment(segment: Segment, format: MaskFormat): Promise<EncodedSegment> {
  return { ...segment, mask: await encode(segment.mask, format) };
}

async function encode(mask: RunLengthMask, format: MaskFormat): Promise<EncodedMask> {
  const { size } = mask;
  switch (format) {
    case 'rle':
      return { format, size, counts: mask.counts };
    case 'png':
      return { format, size, png: await maskToPng(mask) };
    case 'polygon':
      return { format, size, rings: maskToPolygon(mask) };
  }
}
