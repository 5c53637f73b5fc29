import { setImmediate as nextTurn } from 'node:timers/promises';
import type { RgbImage } from './picture.js';

export type Filter = 'bilinear' | 'bicubic';

interface Kernel {
  /** Reach to either side, in source pixels of an unscaled picture. */
  readonly reach: number;
  weight(distance: number): number;
}

/** Pillow's two kernels; its bicubic is Keys' with a = -0.5. */
const KERNELS: Readonly<Record<Filter, Kernel>> = {
  bilinear: { reach: 1, weight: (distance) => Math.max(0, 1 - Math.abs(distance)) },
  bicubic: {
    reach: 2,
    weight: (distance) => {
      const x = Math.abs(distance);
      if (x < 1) return (1.5 * x - 2.5) * x * x + 1;
      return x < 2 ? ((-0.5 * x + 2.5) * x - 4) * x + 2 : 0;
    },
  },
};

/** Binary places of a weight: what is left of 32 bits after an 8-bit pixel, the sign and an overshoot. */
const PLACES = 22;
const HALF = 1 << (PLACES - 1);
const CHANNELS = 3;
/** Multiplications between two turns of the event loop: a few milliseconds. */
const SLICE = 4_000_000;

/** For each target pixel: the first source pixel, how many there are, and their fixed-point weights. */
interface Taps {
  readonly first: Int32Array;
  readonly count: Int32Array;
  readonly weights: Int32Array;
  /** Weights kept for each target pixel. */
  readonly stride: number;
}

/** Part of a picture in pixels. */
export interface Window {
  readonly top: number;
  readonly left: number;
  readonly height: number;
  readonly width: number;
}

/**
 * Resizes as Pillow does, to the bit: the kernel is widened when shrinking (antialiasing), the columns are done before
 * the rows, and pixels are rounded to 8 bits in between. The models were trained on such pictures; other libraries' filters differ.
 * @param size height, width in pixels
 * @param window the part of the resized picture that is wanted; nothing else is computed.
 */
export async function resize(
  image: RgbImage,
  size: readonly [number, number],
  filter: Filter,
  window: Window = { top: 0, left: 0, height: size[0], width: size[1] },
): Promise<RgbImage> {
  const [height, width] = size;
  const columns = tapsOf(image.width, width, KERNELS[filter], [window.left, window.width]);
  const rows = tapsOf(image.height, height, KERNELS[filter], [window.top, window.height]);
  const asWide = width === image.width && window.width === width;
  const asHigh = height === image.height && window.height === height;
  const narrowed = asWide ? image : await resizeWidth(image, columns, rowsOf(rows));
  return asHigh ? narrowed : resizeHeight(narrowed, rows);
}

/** The source rows that are needed; the others stay empty. */
async function resizeWidth(
  image: RgbImage,
  { first, count, weights, stride }: Taps,
  [from, to]: readonly [number, number],
): Promise<RgbImage> {
  const { height, data: source } = image;
  const width = first.length;
  const target = new Uint8Array(width * height * CHANNELS);
  const rowsPerSlice = Math.ceil(SLICE / (width * stride * CHANNELS));
  for (let y = from; y < to; y++) {
    if (y > from && (y - from) % rowsPerSlice === 0) await nextTurn();
    const row = y * image.width * CHANNELS;
    let out = y * width * CHANNELS;
    for (let x = 0; x < width; x++) {
      let [red, green, blue] = [HALF, HALF, HALF];
      let at = row + first[x]! * CHANNELS;
      const end = x * stride + count[x]!;
      for (let tap = x * stride; tap < end; tap++) {
        const weight = weights[tap]!;
        red += source[at]! * weight;
        green += source[at + 1]! * weight;
        blue += source[at + 2]! * weight;
        at += CHANNELS;
      }
      target[out++] = toByte(red);
      target[out++] = toByte(green);
      target[out++] = toByte(blue);
    }
  }
  return { width, height, data: target };
}

async function resizeHeight(image: RgbImage, { first, count, weights, stride }: Taps): Promise<RgbImage> {
  const { width, data: source } = image;
  const height = first.length;
  const line = width * CHANNELS;
  const target = new Uint8Array(line * height);
  const sums = new Int32Array(line);
  const rowsPerSlice = Math.ceil(SLICE / (line * stride));
  for (let y = 0; y < height; y++) {
    if (y > 0 && y % rowsPerSlice === 0) await nextTurn();
    sums.fill(HALF);
    for (let tap = 0; tap < count[y]!; tap++) {
      const weight = weights[y * stride + tap]!;
      const row = (first[y]! + tap) * line;
      for (let i = 0; i < line; i++) sums[i]! += source[row + i]! * weight;
    }
    for (let i = 0; i < line; i++) target[y * line + i] = toByte(sums[i]!);
  }
  return { width, height, data: target };
}

/** The first and the last source row that any target row looks at, half-open. */
function rowsOf({ first, count }: Taps): [number, number] {
  const last = first.length - 1;
  return [first[0]!, first[last]! + count[last]!];
}

/** @param begin first of the wanted target pixels; `wanted`: how many. */
function tapsOf(from: number, to: number, { reach, weight }: Kernel, [begin, wanted]: readonly [number, number]): Taps {
  const scale = from / to;
  const widening = Math.max(1, scale);
  const support = reach * widening;
  const stride = Math.ceil(support) * 2 + 1;
  const [first, count] = [new Int32Array(wanted), new Int32Array(wanted)];
  const weights = new Int32Array(wanted * stride);
  for (let i = 0; i < wanted; i++) {
    const centre = (begin + i + 0.5) * scale;
    const start = Math.max(0, Math.trunc(centre - support + 0.5));
    const end = Math.min(from, Math.trunc(centre + support + 0.5));
    const raw = Array.from({ length: end - start }, (_, tap) => weight((start + tap - centre + 0.5) / widening));
    const total = raw.reduce((sum, value) => sum + value, 0);
    first[i] = start;
    count[i] = raw.length;
    raw.forEach((value, tap) => (weights[i * stride + tap] = roundHalfAway((value / total) * (1 << PLACES))));
  }
  return { first, count, weights, stride };
}

function roundHalfAway(value: number): number {
  return Math.trunc(value + (value < 0 ? -0.5 : 0.5));
}

function toByte(sum: number): number {
  const value = sum >> PLACES;
  return value < 0 ? 0 : value > 255 ? 255 : value;
}
