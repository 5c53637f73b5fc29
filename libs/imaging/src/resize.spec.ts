import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import type { RgbImage } from './picture.js';
import { resize, type Filter } from './resize.js';

/** A picture with smooth and with sharp parts, which Pillow was given too. */
function pattern(height: number, width: number): RgbImage {
  const data = new Uint8Array(height * width * 3);
  data.forEach((_, i) => {
    const [x, y, c] = [Math.floor(i / 3) % width, Math.floor(i / 3 / width), i % 3];
    data[i] = x * x * 7 + y * y * 13 + x * y * 3 + c * 97 + Math.floor(x / 5) * 40;
  });
  return { width, height, data };
}

describe('resize', () => {
  /** SHA-256 (its first half of 64 bits in hex) of `Image.resize(...).tobytes()` of Pillow 13.0. */
  const golden: [[number, number], [number, number], Filter, string][] = [
    [[48, 64], [24, 32], 'bilinear', 'a1dcea2c26d8b2ef'],
    [[48, 64], [24, 32], 'bicubic', 'd48c444bc746f449'],
    [[61, 97], [8, 13], 'bilinear', 'e2b80ccd40a7734e'],
    [[61, 97], [8, 13], 'bicubic', '8def5794f2578177'],
    [[10, 20], [33, 71], 'bilinear', 'b289efabaefdac97'],
    [[10, 20], [33, 71], 'bicubic', 'a19cc86883a5c9aa'],
    [[427, 640], [342, 512], 'bilinear', '46b224ecb7436318'],
    [[200, 301], [50, 301], 'bilinear', 'a1ce91b21e18c4a7'],
    [[200, 301], [200, 40], 'bicubic', 'f3b086012ceecdb8'],
    [[7, 1], [5, 5], 'bicubic', '1f45310556141b37'],
  ];

  it.each(golden)('gives Pillow’s bytes for %j to %j, %s', async ([height, width], size, filter, hash) => {
    const resized = await resize(pattern(height, width), size, filter);
    expect([resized.height, resized.width]).toEqual(size);
    expect(createHash('sha256').update(resized.data).digest('hex').slice(0, 16)).toBe(hash);
  });

  it.each([
    [
      [61, 97],
      [122, 194],
    ],
    [
      [61, 97],
      [30, 97],
    ],
    [
      [61, 97],
      [61, 40],
    ],
  ] as const)('gives any part of %j at %j as in the whole', async ([height, width], size) => {
    const picture = pattern(height, width);
    const whole = await resize(picture, size, 'bicubic');
    const window = { top: 7, left: 11, height: 20, width: 25 };
    const part = await resize(picture, size, 'bicubic', { window });
    const expected = Array.from({ length: window.height }, (_, y) => {
      const at = ((window.top + y) * whole.width + window.left) * 3;
      return [...whole.data.subarray(at, at + window.width * 3)];
    });
    expect([part.height, part.width]).toEqual([20, 25]);
    expect([...part.data]).toEqual(expected.flat());
  });

  it('leaves a picture of the right size alone', async () => {
    const picture = pattern(5, 7);
    expect(await resize(picture, [5, 7], 'bicubic')).toBe(picture);
  });

  it('lets other work in while it shrinks a large picture', async () => {
    let turns = 0;
    const count = () => {
      turns += 1;
      counting = setImmediate(count);
    };
    let counting = setImmediate(count);
    const picture = { width: 4000, height: 3000, data: new Uint8Array(4000 * 3000 * 3) };
    await resize(picture, [384, 512], 'bilinear');
    clearImmediate(counting);
    expect(turns).toBeGreaterThan(20); // some hundred million multiplications, millions of them at a time
  });

  it('ends at the turn at which nobody wants it any more', async () => {
    const controller = new AbortController();
    let turns = 0;
    const count = () => {
      if (++turns === 3) controller.abort(new Error('too late'));
      counting = setImmediate(count);
    };
    let counting = setImmediate(count);
    const picture = { width: 4000, height: 3000, data: new Uint8Array(4000 * 3000 * 3) };
    const resizing = resize(picture, [384, 512], 'bilinear', { signal: controller.signal });
    await expect(resizing).rejects.toThrow('too late');
    clearImmediate(counting);
    expect(turns).toBeLessThan(6);
  });
});
