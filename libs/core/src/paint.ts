import { decodeMask, type RunLengthMask } from './mask.js';

/** Pixels in rows, three (RGB) or four (RGBA) bytes each: what a canvas calls `ImageData`, or raw pixels of sharp. */
export interface Pixels {
  readonly width: number;
  readonly height: number;
  readonly data: Uint8Array | Uint8ClampedArray;
}

/** Share of the colour inside a mask; its outline has all of it. */
const FILL = 0.45;

/**
 * Paints a mask over a picture, in place: a see-through fill and a solid outline. The picture may have another size than
 * the mask; alpha stays as it is.
 * @param colour `#rrggbb`
 */
export function paintMask(picture: Pixels, mask: RunLengthMask, colour: string, { fill = FILL } = {}): void {
  const { width, height, data } = picture;
  const channels = data.length / (width * height);
  const rgb = [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16));
  const inside = sample(mask, picture);
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
      const share = onOutline(x, y, i) ? 1 : fill;
      for (let c = 0; c < 3; c++) {
        data[i * channels + c] = data[i * channels + c]! * (1 - share) + rgb[c]! * share;
      }
    }
  }
}

/** The mask at another size: for each pixel, the mask's pixel in the same place. */
function sample(mask: RunLengthMask, { width, height }: Pixels): Uint8Array {
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
