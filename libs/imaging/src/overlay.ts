import { paintMask, segmentColour, type Segment } from '@segue/core';
import { renderLegend } from './legend.js';
import { decodePicture, DEFAULT_PICTURE_LIMITS, type PictureLimits, type RgbImage } from './picture.js';
import { sharp } from './sharp.js';

export type OverlaySegment = Pick<Segment, 'index' | 'phrase' | 'span' | 'mask'>;

export interface OverlayOptions {
  /** The answer, written under the picture. */
  readonly text?: string;
  readonly limits?: PictureLimits;
  /** Longest side in pixels at most; 1600 unless given. */
  readonly largest?: number;
}

/** Bounds of the longest side in pixels: an overlay is made for looking at. */
const [SMALLEST, LARGEST] = [640, 1600];
/** A picture that is narrower gets white on its right. */
const NARROWEST_LEGEND = 320;

/** Paints masks over their picture and writes the answer under it. Gives a PNG with a longest side of 640 to `largest` pixels. */
export async function renderOverlay(
  bytes: Uint8Array,
  segments: readonly OverlaySegment[],
  { text, limits = DEFAULT_PICTURE_LIMITS, largest = LARGEST }: OverlayOptions = {},
): Promise<Buffer> {
  const picture = await fitToScreen(await decodePicture(bytes, limits), largest);
  for (const { index, mask } of segments) paintMask(picture, mask, segmentColour(index));
  const { width, height, data } = picture;
  const canvas = sharp(data, { raw: { width, height, channels: 3 } });
  if (!text && segments.length === 0) return canvas.png().toBuffer();
  const fontSize = Math.max(18, Math.round(width / 40));
  const margin = Math.round(fontSize / 2);
  const lineWidth = Math.max(width, NARROWEST_LEGEND) - 4 * margin;
  const legend = await renderLegend(segments, text, { width: lineWidth, fontSize });
  const { width: legendWidth, height: legendHeight } = legend;
  return canvas
    .extend({
      right: Math.max(0, NARROWEST_LEGEND - width),
      bottom: legendHeight + 3 * margin,
      background: 'white',
    })
    .composite([
      {
        input: legend.data,
        raw: { width: legendWidth, height: legendHeight, channels: 4 },
        left: 2 * margin,
        top: height + margin,
      },
    ])
    .png()
    .toBuffer();
}

async function fitToScreen({ width, height, data }: RgbImage, largest: number): Promise<RgbImage> {
  const longest = Math.max(width, height);
  const scale = Math.min(Math.max(longest, SMALLEST), largest) / longest;
  const size = { width: Math.max(1, Math.round(width * scale)), height: Math.max(1, Math.round(height * scale)) };
  const picture = sharp(data, { raw: { width, height, channels: 3 } }).resize({ ...size, fit: 'fill' });
  return { ...size, data: await picture.raw().toBuffer() };
}
