import type { Box } from './answer.js';

/** COCO's compressed run-length encoding (column-major); `pycocotools.mask.decode` reads it. */
export interface RunLengthMask {
  /** height, width */
  readonly size: readonly [height: number, width: number];
  readonly counts: string;
}

/** Encodes a row-major mask `uint8[h, w]` (0 = outside) as COCO RLE. */
export function encodeMask(pixels: Uint8Array, height: number, width: number): RunLengthMask {
  if (pixels.length !== height * width)
    throw new RangeError(`${height} x ${width} pixels expected, not ${pixels.length}`);
  const borders = bordersOf(pixels, height, width);
  const runs = new Array<number>(borders.length + 1);
  let last = 0;
  borders.forEach((border, index) => {
    runs[index] = border - last;
    last = border;
  });
  runs[borders.length] = pixels.length - last;
  return { size: [height, width], counts: packRuns(runs) };
}

/**
 * Where inside and outside meet, as column-major places, in order. Pixels are compared with those above them, row by row and
 * four at a time: going down the columns would touch another line of the cache with every pixel.
 */
function bordersOf(pixels: Uint8Array, height: number, width: number): Uint32Array {
  const columns: number[] = [];
  const rows: number[] = [];
  const ends = new Uint32Array(width + 1);
  const note = (x: number, y: number): void => {
    columns.push(x);
    rows.push(y);
    ends[x + 1] = (ends[x + 1] ?? 0) + 1;
  };
  const isInside = (index: number): boolean => pixels[index] !== 0;
  // A column goes on where the one before it ended, and the first after what lies outside.
  for (let x = 0; x < width && height > 0; x++) {
    if (isInside(x) !== (x > 0 && isInside((height - 1) * width + x - 1))) note(x, 0);
  }
  const bytes = new DataView(pixels.buffer, pixels.byteOffset, pixels.byteLength);
  for (let y = 1; y < height; y++) {
    const [start, end] = [y * width, (y + 1) * width];
    for (let at = start; at < end;) {
      if (at + 4 <= end && bytes.getInt32(at) === bytes.getInt32(at - width)) {
        at += 4;
        continue;
      }
      for (const stop = Math.min(at + 4, end); at < stop; at++) {
        if (isInside(at) !== isInside(at - width)) note(at - start, y);
      }
    }
  }
  // Each column's borders were found from the top down.
  for (let x = 0; x < width; x++) ends[x + 1] = (ends[x + 1] ?? 0) + (ends[x] ?? 0);
  const borders = new Uint32Array(columns.length);
  columns.forEach((x, index) => {
    const place = ends[x] ?? 0;
    borders[place] = x * height + (rows[index] ?? 0);
    ends[x] = place + 1;
  });
  return borders;
}

/** Decodes to a row-major `uint8[h, w]` of 0 and 1. */
export function decodeMask(mask: RunLengthMask): Uint8Array {
  const [height, width] = mask.size;
  const pixels = new Uint8Array(height * width);
  let [x, y] = [0, 0];
  maskRuns(mask).forEach((run, index) => {
    for (let left = run; left > 0;) {
      const step = Math.min(left, height - y);
      if (index % 2 === 1) {
        for (let i = 0; i < step; i++) pixels[(y + i) * width + x] = 1;
      }
      left -= step;
      y += step;
      if (y === height) [x, y] = [x + 1, 0];
    }
  });
  return pixels;
}

/**
 * Alternating run lengths in column-major order, beginning with zeros.
 * @throws RangeError when they do not add up to the mask's size.
 */
export function maskRuns(mask: RunLengthMask): number[] {
  const runs: number[] = [];
  let value = 0;
  let shift = 0;
  for (let i = 0; i < mask.counts.length; i++) {
    const group = mask.counts.charCodeAt(i) - 48;
    value += (group & 0x1f) * 2 ** shift;
    shift += 5;
    if ((group & 0x20) !== 0) continue;
    if ((group & 0x10) !== 0) value -= 2 ** shift;
    runs.push(runs.length > 2 ? value + (runs[runs.length - 2] ?? 0) : value);
    value = 0;
    shift = 0;
  }
  const pixels = runs.reduce((sum, run) => sum + run, 0);
  if (pixels !== mask.size[0] * mask.size[1] || runs.some((run) => run < 0)) {
    throw new RangeError(`the mask's runs cover ${pixels} pixels, not ${mask.size.join(' x ')}`);
  }
  return runs;
}

/** Pixels in the mask. */
export function maskArea(mask: RunLengthMask): number {
  return maskRuns(mask).reduce((area, run, index) => (index % 2 === 1 ? area + run : area), 0);
}

/** Smallest box around the mask; all zero when it is empty. */
export function maskBox(mask: RunLengthMask): Box {
  const [height] = mask.size;
  let [left, top, right, bottom] = [Infinity, Infinity, -1, -1];
  let position = 0;
  maskRuns(mask).forEach((run, index) => {
    if (index % 2 === 1 && run > 0) {
      const [first, last] = [position, position + run - 1];
      const [firstX, lastX] = [Math.floor(first / height), Math.floor(last / height)];
      left = Math.min(left, firstX);
      right = Math.max(right, lastX);
      top = Math.min(top, firstX === lastX ? first % height : 0);
      bottom = Math.max(bottom, firstX === lastX ? last % height : height - 1);
    }
    position += run;
  });
  return right < 0 ? [0, 0, 0, 0] : [left, top, right - left + 1, bottom - top + 1];
}

/**
 * Intersection over union; 1 when both masks are empty.
 * @throws RangeError when the masks are of two sizes.
 */
export function maskIou(a: RunLengthMask, b: RunLengthMask): number {
  if (a.size.join() !== b.size.join()) throw new RangeError(`masks of ${a.size.join(' x ')} and ${b.size.join(' x ')}`);
  const [pixelsA, pixelsB] = [decodeMask(a), decodeMask(b)];
  const shared = pixelsA.reduce((sum, bit, i) => sum + (bit & (pixelsB[i] ?? 0)), 0);
  const union = maskArea(a) + maskArea(b) - shared;
  return union === 0 ? 1 : shared / union;
}

/** LEB128-like packing of pycocotools: 5 bits a character, deltas to the run two before from the fourth on. */
function packRuns(runs: readonly number[]): string {
  let counts = '';
  runs.forEach((run, index) => {
    let value = index > 2 ? run - (runs[index - 2] ?? 0) : run;
    let more = true;
    while (more) {
      const group = value & 0x1f;
      value >>= 5;
      more = (group & 0x10) !== 0 ? value !== -1 : value !== 0;
      counts += String.fromCharCode(group + (more ? 0x20 : 0) + 48);
    }
  });
  return counts;
}
