import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { samplePicture } from './sample-picture.js';

describe('samplePicture', () => {
  it.each(['jpeg', 'png', 'webp'] as const)('is a %s of the asked size', async (format) => {
    expect(await sharp(await samplePicture(1, 40, 30, format)).metadata()).toMatchObject({
      format,
      width: 40,
      height: 30,
    });
  });

  it('is the same for a seed and another for another', async () => {
    const [first, again, other] = await Promise.all([samplePicture(1), samplePicture(1), samplePicture(2)]);
    expect([first.equals(again), first.equals(other)]).toEqual([true, false]);
  });
});
