import { describe, expect, it } from 'vitest';
import { decodeMask, encodeMask } from '@segue/core';
import { maskToPng } from './mask-png.js';
import { sharp } from './sharp.js';

describe('maskToPng', () => {
  it.each([
    [1, 1],
    [3, 8],
    [5, 9],
    [40, 33],
  ])('is the mask of %i x %i, in one bit a pixel', async (height, width) => {
    const mask = encodeMask(
      Uint8Array.from({ length: height * width }, (_, i) => ((i * i) % 7 < 3 ? 1 : 0)),
      height,
      width,
    );
    const png = await maskToPng(mask);
    const { format, bitsPerSample, channels } = await sharp(png).metadata();
    expect({ format, bitsPerSample, channels }).toEqual({ format: 'png', bitsPerSample: 1, channels: 1 });
    const { data, info } = await sharp(png).toColourspace('b-w').raw().toBuffer({ resolveWithObject: true });
    expect([info.height, info.width]).toEqual([height, width]);
    expect(Uint8Array.from(data, (value) => value / 255)).toEqual(decodeMask(mask));
  });

  it('is small', async () => {
    expect((await maskToPng(encodeMask(new Uint8Array(3000 * 4000), 3000, 4000))).length).toBeLessThan(3000);
  });
});
