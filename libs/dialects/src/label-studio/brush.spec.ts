import { encodeMask } from '@segue/core';
import { expect, it } from 'vitest';
import { toBrush } from './brush.js';

/** As Label Studio's own converter reads it; examples/label_studio.py tries the converter itself. */
function decode(bytes: readonly number[]): number[] {
  const bits = bytes.map((byte) => byte.toString(2).padStart(8, '0')).join('');
  let at = 0;
  const read = (count: number) => parseInt(bits.slice(at, (at += count)), 2);
  const [length, valueBits] = [read(32), read(5) + 1];
  const sizes = [read(4), read(4), read(4), read(4)].map((size) => size + 1);
  const out: number[] = [];
  while (out.length < length) {
    const run = read(1);
    const count = read(sizes[read(2)]!) + 1;
    const value = run ? read(valueBits) : undefined;
    for (let i = 0; i < count; i++) out.push(value ?? read(valueBits));
  }
  return out;
}

it.each([
  ['nothing', 5, 7, () => 0],
  ['everything, in runs longer than 16 bits', 300, 300, () => 1],
  ['single pixels', 9, 4, (i: number) => i % 2],
  ['runs of many lengths', 64, 64, (i: number) => (Math.floor(Math.sqrt(i)) % 3 === 0 ? 1 : 0)],
] as const)('packs %s', (_what, height, width, pixel) => {
  const pixels = Uint8Array.from({ length: height * width }, (_, i) => pixel(i));
  const values = decode(toBrush(encodeMask(pixels, height, width)));
  expect(values).toHaveLength(4 * pixels.length);
  expect(values.filter((_, i) => i % 4 === 3)).toEqual([...pixels].map((value) => 255 * value));
});
