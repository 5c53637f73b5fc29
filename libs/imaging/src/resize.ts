import { setImmediate as nextTurn } from 'node:timers/promises';
import { releaseMemory } from '@segue/tensors';
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

export interface ResizeOptions {
  /** The part of the resized picture that is wanted, and nothing else is computed; all of it unless given. */
  readonly window?: Window;
  /** Ends the work at the next turn of the event loop. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * Resizes as Pillow does, to the bit: the kernel is widened when shrinking (antialiasing), the columns are done before
 * the rows, and pixels are rounded to 8 bits in between. The models were trained on such pictures; other libraries' filters differ.
 * @param size height, width in pixels
 * @throws the signal's reason once that is aborted.
 */
export async function resize(
  image: RgbImage,
  size: readonly [number, number],
  filter: Filter,
  options: ResizeOptions = {},
): Promise<RgbImage> {
  const [height, width] = size;
  const { window = { top: 0, left: 0, height, width }, signal } = options;
  const columns = tapsOf(image.width, width, KERNELS[filter], [window.left, window.width]);
  const rows = tapsOf(image.height, height, KERNELS[filter], [window.top, window.height]);
  const asWide = width === image.width && window.width === width;
  const asHigh = height === image.height && window.height === height;
  const narrowed = asWide ? image : await resizeWidth(image, columns, rowsOf(rows), signal);
  const resized = asHigh ? narrowed : await resizeHeight(narrowed, rows, signal);
  if (narrowed !== image && narrowed !== resized) releaseMemory(narrowed.data);
  return resized;
}

/** The source rows that are needed; the others stay empty. */
async function resizeWidth(
  image: RgbImage,
  taps: Taps,
  rows: readonly [number, number],
  signal: AbortSignal | undefined,
): Promise<RgbImage> {
  const { height } = image;
  const width = taps.first.length;
  const target = { width, height, data: new Uint8Array(width * height * CHANNELS) };
  await inSlices(rows, { slice: Math.ceil(SLICE / (width * taps.stride * CHANNELS)), signal }, (y) => {
    resizeRow(image, taps, target, y);
  });
  return target;
}

async function resizeHeight(image: RgbImage, taps: Taps, signal: AbortSignal | undefined): Promise<RgbImage> {
  const { width } = image;
  const height = taps.first.length;
  const line = width * CHANNELS;
  const target = { width, height, data: new Uint8Array(line * height) };
  const sums = new Int32Array(line);
  await inSlices([0, height], { slice: Math.ceil(SLICE / (line * taps.stride)), signal }, (y) => {
    addRows(image.data, taps, y, sums);
    for (let i = 0; i < line; i++) target.data[y * line + i] = toByte(sums[i]!);
  });
  return target;
}

/**
 * Does rows from the first to before the last, with turns of the event loop in between. What is done to a row is a function
 * of its own: V8 interprets a function anew after every await in it.
 */
async function inSlices(
  [from, to]: readonly [number, number],
  { slice, signal }: { readonly slice: number; readonly signal: AbortSignal | undefined },
  row: (y: number) => void,
): Promise<void> {
  for (let y = from; y < to; y++) {
    if (y > from && (y - from) % slice === 0) {
      await nextTurn();
      signal?.throwIfAborted();
    }
    row(y);
  }
}

/** Makes one row as wide as the target. */
function resizeRow({ width, data: source }: RgbImage, taps: Taps, { data: target }: RgbImage, y: number): void {
  const { first, count, weights, stride } = taps;
  const row = y * width * CHANNELS;
  let out = y * first.length * CHANNELS;
  for (let x = 0; x < first.length; x++) {
    let red = HALF;
    let green = HALF;
    let blue = HALF;
    let at = row + first[x]! * CHANNELS;
    const end = x * stride + count[x]!;
    for (let tap = x * stride; tap < end; tap++) {
      const weight = weights[tap]!;
      red = (red + Math.imul(source[at]!, weight)) | 0;
      green = (green + Math.imul(source[at + 1]!, weight)) | 0;
      blue = (blue + Math.imul(source[at + 2]!, weight)) | 0;
      at += CHANNELS;
    }
    target[out] = toByte(red);
    target[out + 1] = toByte(green);
    target[out + 2] = toByte(blue);
    out += CHANNELS;
  }
}

/** The weighted sum of the rows that target row `y` looks at. */
function addRows(source: Uint8Array, { first, count, weights, stride }: Taps, y: number, sums: Int32Array): void {
  const line = sums.length;
  sums.fill(HALF);
  // Four rows at a time, so that the sums are read and written less often; a row that is not there weighs nothing.
  for (let tap = 0; tap < count[y]!; tap += 4) {
    const last = count[y]! - tap - 1;
    const weight = (i: number): number => (i > last ? 0 : weights[y * stride + tap + i]!);
    const start = (i: number): number => (first[y]! + tap + Math.min(i, last)) * line;
    addFour(source, sums, [start(0), start(1), start(2), start(3)], [weight(0), weight(1), weight(2), weight(3)]);
  }
}

type Four = readonly [number, number, number, number];

function addFour(source: Uint8Array, sums: Int32Array, [r0, r1, r2, r3]: Four, [w0, w1, w2, w3]: Four): void {
  for (let i = 0; i < sums.length; i++) {
    const upper = (Math.imul(source[r0 + i]!, w0) + Math.imul(source[r1 + i]!, w1)) | 0;
    const lower = (Math.imul(source[r2 + i]!, w2) + Math.imul(source[r3 + i]!, w3)) | 0;
    sums[i] = (sums[i]! + upper + lower) | 0;
  }
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
