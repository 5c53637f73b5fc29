import { decodeMask, type RunLengthMask, type Segment } from '@segue/core';
import { renderLegend } from './legend.js';
import { segmentColour } from './palette.js';
import { decodePicture, DEFAULT_PICTURE_LIMITS, type PictureLimits, type RgbImage } from './picture.js';
import { sharp } from './sharp.js';

export type OverlaySegment = Pick<Segment, 'index' | 'phrase' | 'span' | 'mask'>;

export interface OverlayOptions {
  /** The answer, written under the picture. */
  readonly text?: string;
  readonly limits?: PictureLimits;
}

/** Bounds of the longest side in pixels: an overlay is made for looking at. */
const [SMALLEST, LARGEST] = [640, 1600];
/** A picture that is narrower gets white on its right. */
const NARROWEST_LEGEND = 320;
/** Share of the colour inside a mask; its outline has all of it. */
const FILL = 0.45;

/** Paints masks over their picture and writes the answer under it. Gives a PNG with a longest side of 640 to 1600 pixels. */
export async function renderOverlay(
  bytes: Uint8Array,
  segments: readonly OverlaySegment[],
  { text, limits = DEFAULT_PICTURE_LIMITS }: OverlayOptions = {},
): Promise<Buffer> {
  const picture = await fitToScreen(await decodePicture(bytes, limits));
  for (const { index, mask } of segments) paint(picture, sample(mask, picture), segmentColour(index));
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

async function fitToScreen({ width, height, data }: RgbImage): Promise<RgbImage> {
  const longest = Math.max(width, height);
  const scale = Math.min(Math.max(longest, SMALLEST), LARGEST) / longest;
  const size = { width: Math.max(1, Math.round(width * scale)), height: Math.max(1, Math.round(height * scale)) };
  const picture = sharp(data, { raw: { width, height, channels: 3 } }).resize({ ...size, fit: 'fill' });
  return { ...size, data: await picture.raw().toBuffer() };
}

/** The mask at another size: for each pixel, the mask's pixel in the same place. */
function sample(mask: RunLengthMask, { width, height }: RgbImage): Uint8Array {
  const [maskHeight, maskWidth] = mask.size;
  const source = decodeMask(mask);
  const columns = Int32Array.from({ length: width }, (_, x) => Math.floor(((x + 0.5) * maskWidth) / width));
  const target = new Uint8Array(width * height);
  for (let y = 0; y < height; y++) {
    const row = Math.floor(((y + 0.5) * maskHeight) / height) * maskWidth;
    for (let x = 0; x < width; x++) target[y * width + x] = source[row + columns[x]!]!;
  }
  return target;
}

function paint({ width, height, data }: RgbImage, inside: Uint8Array, colour: string): void {
  const rgb = [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16));
  const reach = Math.max(2, Math.round(Math.max(width, height) / 400));
  const onOutline = (x: number, y: number, i: number): boolean =>
    !inside[i - Math.min(reach, x)] ||
    !inside[i + Math.min(reach, width - 1 - x)] ||
    !inside[i - Math.min(reach, y) * width] ||
    !inside[i + Math.min(reach, height - 1 - y) * width];
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const i = y * width + x;
      if (!inside[i]) continue;
      const share = onOutline(x, y, i) ? 1 : FILL;
      for (let c = 0; c < 3; c++) data[i * 3 + c] = data[i * 3 + c]! * (1 - share) + rgb[c]! * share;
    }
  }
}
