import { describe, expect, it } from 'vitest';
import { hasEnd } from './completeness.js';
import { inspectPicture } from './picture.js';
import { sharp, type PictureFormat } from './sharp.js';

const LIMITS = { maxBytes: 1 << 20, maxPixels: 1e6 };

function noise(format: PictureFormat): Promise<Buffer> {
  const noise = { type: 'gaussian', mean: 128, sigma: 60 } as const;
  return sharp({ create: { width: 64, height: 48, channels: 3, background: 'black', noise } })
    .withExif({ IFD0: { Software: 'test' } })
    .toFormat(format)
    .toBuffer();
}

describe.each(['jpeg', 'png', 'webp'] as const)('%s', (format) => {
  it('has its end when whole, also with something after it', async () => {
    const file = await noise(format);
    expect(hasEnd(file, format)).toBe(true);
    expect(hasEnd(Buffer.concat([file, Buffer.alloc(100)]), format)).toBe(true);
  });

  it.each([2, 100, 1000])('is refused when its last %i bytes are missing', async (missing) => {
    const file = await noise(format);
    const short = file.subarray(0, file.length - Math.max(missing, format === 'png' ? 12 : 0));
    await expect(inspectPicture(short, LIMITS)).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: expect.stringMatching(/cut short|send a whole/),
    });
  });
});

it('does not take the end of a thumbnail for that of the picture', async () => {
  const [picture, thumbnail] = [await noise('jpeg'), await noise('jpeg')];
  const header = Buffer.from([0xff, 0xe5, (thumbnail.length + 2) >> 8, (thumbnail.length + 2) & 0xff]);
  const file = Buffer.concat([picture.subarray(0, 2), header, thumbnail, picture.subarray(2)]);
  expect(hasEnd(file, 'jpeg')).toBe(true);
  expect(hasEnd(file.subarray(0, file.length - 10), 'jpeg')).toBe(false);
});
