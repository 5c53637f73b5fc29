import { describe, expect, it } from 'vitest';
import type { Sharp } from 'sharp';
import type { SegueError } from '@segue/core';
import { decodePicture, DEFAULT_PICTURE_LIMITS, inspectPicture, pictureType, type RgbImage } from './picture.js';
import { prophoto } from './prophoto.fixture.js';
import { sharp } from './sharp.js';

const limits = DEFAULT_PICTURE_LIMITS;
const [RED, GREEN] = [
  [200, 30, 20],
  [20, 160, 60],
];

/** 24 x 16, red but for a green left third. */
function picture(): Sharp {
  const pixels = Buffer.from(Array.from({ length: 24 * 16 }, (_, i) => (i % 24 < 8 ? GREEN! : RED!)).flat());
  return sharp(pixels, { raw: { width: 24, height: 16, channels: 3 } });
}

function pixel({ data, width }: RgbImage, x: number, y: number): number[] {
  return [...data.subarray((y * width + x) * 3, (y * width + x) * 3 + 3)];
}

function expectNear(actual: number[], expected: number[], tolerance = 4): void {
  actual.forEach((value, i) =>
    expect(Math.abs(value - expected[i]!), `${actual} instead of ${expected}`).toBeLessThanOrEqual(tolerance),
  );
}

describe('inspectPicture', () => {
  it.each(['jpeg', 'png', 'webp'] as const)('reads the header of a %s', async (format) => {
    expect(await inspectPicture(await picture().toFormat(format).toBuffer(), limits)).toEqual({
      format,
      width: 24,
      height: 16,
    });
  });

  it('gives the size as shown', async () => {
    const bytes = await picture().jpeg().withMetadata({ orientation: 6 }).toBuffer();
    expect(await inspectPicture(bytes, limits)).toEqual({ format: 'jpeg', width: 16, height: 24 });
  });

  it('decodes nothing: what is broken in its middle is found later', async () => {
    const bytes = await noise('jpeg');
    bytes.fill(0, bytes.length / 2, bytes.length - 2);
    await expect(inspectPicture(bytes, limits)).resolves.toMatchObject({ width: 300 });
  });

  const others: [string, string, () => Uint8Array | Promise<Uint8Array>][] = [
    ['nothing', UNKNOWN, () => new Uint8Array()],
    ['text', UNKNOWN, () => Buffer.from('<html><body>404 Not Found</body></html>')],
    ['an SVG', 'SVG files are not taken here', () => Buffer.from('<svg xmlns="http://www.w3.org/2000/svg"/>')],
    ['a BMP', 'BMP files are not taken here', () => bmp()],
    ['a GIF', 'GIF files are not taken here', () => picture().gif().toBuffer()],
    ['a TIFF', 'TIFF files are not taken here', () => picture().tiff().toBuffer()],
    ['an AVIF', 'AVIF files are not taken here', () => picture().avif({ effort: 0 }).toBuffer()],
    ["a phone's HEIC", 'HEIC files are not taken here', () => boxed('ftypheic\0\0\0\0mif1heic')],
    ['a HEIF', 'HEIF files are not taken here', () => boxed('ftypmif1\0\0\0\0mif1heic')],
    ['a JPEG XL', 'JPEG XL files are not taken here', () => latin1('\xff\x0a\xfa\x1f')],
    ['a JPEG XL in a box', 'JPEG XL files are not taken here', () => boxed('JXL \r\n\x87\n')],
    ['a JPEG 2000', 'JPEG 2000 files are not taken here', () => boxed('jP  \r\n\x87\n')],
    ['a JPEG 2000 stream', 'JPEG 2000 files are not taken here', () => latin1('\xff\x4f\xff\x51\0\x2f')],
    ['a PDF', 'PDF files are not taken here', () => latin1('%PDF-1.7\n%\xe2\xe3\xcf\xd3\n')],
    ['a JPEG that is none', UNKNOWN, () => latin1('\xff\xd8\xff\xe0\0\x10JFIF\0')],
  ];
  it.each(others)('refuses %s by name: %s', async (_, what, make) => {
    const error = await failure(inspectPicture(await make(), limits));
    expect(error).toMatchObject({ code: 'INVALID_ARGUMENT', reason: 'NOT_A_PICTURE', httpStatus: 415 });
    expect(error.message).toBe(`${what}; send a whole JPEG, PNG or WebP file.`);
  });

  it('cannot reach the decoders of other formats until a setting allows them', async () => {
    const gif = await picture().gif().toBuffer();
    await expect(sharp(gif).metadata()).rejects.toThrow('unsupported image format');
    const allowing = { ...limits, formats: ['png', 'gif'] as const };
    expect(await inspectPicture(gif, allowing)).toEqual({ format: 'gif', width: 24, height: 16 });
    const error = await failure(inspectPicture(await picture().webp().toBuffer(), allowing));
    expect(error.message).toBe('This cannot be read as a picture; send a whole PNG or GIF file.');
  });

  it.each([
    [1, 4000],
    [101, 1],
  ])('refuses a strip of %i x %i', async (width, height) => {
    const strip = await sharp({ create: { width, height, channels: 3, background: 'black' } })
      .png()
      .toBuffer();
    const error = await failure(inspectPicture(strip, limits));
    expect(error).toMatchObject({ code: 'INVALID_ARGUMENT', httpStatus: 400 });
    expect(error.message).toBe(
      `The picture has ${width} x ${height} pixels; send one whose sides differ by 100 times at most.`,
    );
  });

  it('refuses a side that is too long, and takes what a phone of 50 megapixels writes', async () => {
    const grey = (width: number, height: number) =>
      sharp({ create: { width, height, channels: 3, background: 'black' }, limitInputPixels: false });
    const long = await failure(inspectPicture(await grey(33_000, 400).png().toBuffer(), limits));
    expect(long).toMatchObject({ reason: 'TOO_LARGE', message: expect.stringContaining('at most 32768 on a side') });
    const phone = await inspectPicture(await grey(8192, 6144).png({ palette: true }).toBuffer(), limits);
    expect(phone).toMatchObject({ width: 8192, height: 6144 });
  });

  it('refuses a large file', async () => {
    const bytes = await picture().png().toBuffer();
    const error = await failure(inspectPicture(bytes, { ...limits, maxBytes: bytes.length - 1 }));
    expect(error).toMatchObject({ code: 'INVALID_ARGUMENT', reason: 'TOO_LARGE', httpStatus: 413 });
  });

  it('refuses a small file with many pixels', async () => {
    const bomb = sharp({ create: { width: 3000, height: 3000, channels: 3, background: 'black' } });
    const bytes = await bomb.png().toBuffer();
    expect(bytes.length).toBeLessThan(50_000);
    const error = await failure(inspectPicture(bytes, { maxBytes: 50_000, maxPixels: 8_999_999 }));
    expect(error).toMatchObject({ code: 'INVALID_ARGUMENT', reason: 'TOO_LARGE', httpStatus: 413 });
    expect(error.message).toBe('The picture has 3000 x 3000 pixels; send one of at most 8999999 in all.');
  });
});

describe('pictureType', () => {
  it.each(['jpeg', 'png', 'webp', 'gif', 'tiff', 'avif'] as const)('knows a %s by its first bytes', async (format) => {
    expect(pictureType(await picture().toFormat(format).toBuffer())).toBe(`image/${format}`);
  });

  it('knows a TIFF of the other byte order', () => {
    expect(pictureType(Buffer.from('MM\0*', 'latin1'))).toBe('image/tiff');
  });
});

describe('decodePicture', () => {
  it.each(['jpeg', 'png', 'webp'] as const)('decodes a %s', async (format) => {
    const image = await decodePicture(await picture().toFormat(format, { quality: 98 }).toBuffer(), limits);
    expect([image.width, image.height, image.data.length]).toEqual([24, 16, 24 * 16 * 3]);
    expectNear(pixel(image, 20, 8), RED!);
    expectNear(pixel(image, 2, 8), GREEN!);
  });

  it('turns the picture as EXIF says', async () => {
    const image = await decodePicture(await picture().png().withMetadata({ orientation: 6 }).toBuffer(), limits);
    expect([image.width, image.height]).toEqual([16, 24]);
    expect([pixel(image, 8, 2), pixel(image, 8, 20)]).toEqual([GREEN, RED]);
  });

  it.each(['png', 'webp'] as const)('flattens alpha on white: what a %s hides is not looked at', async (format) => {
    const hidden = await decodePicture(
      await picture().ensureAlpha(0).toFormat(format, { lossless: true }).toBuffer(),
      limits,
    );
    expect([pixel(hidden, 2, 2), pixel(hidden, 20, 2)]).toEqual([
      [255, 255, 255],
      [255, 255, 255],
    ]);
    const half = await decodePicture(
      await picture().ensureAlpha(0.5).toFormat(format, { lossless: true }).toBuffer(),
      limits,
    );
    expectNear(
      pixel(half, 20, 2),
      RED!.map((value) => (value + 255) / 2),
      1,
    );
  });

  it('flattens 16 bits with alpha', async () => {
    const bytes = await picture().ensureAlpha(0).toColourspace('rgb16').png().toBuffer();
    expect(pixel(await decodePicture(bytes, limits), 2, 2)).toEqual([255, 255, 255]);
  });

  it.each([
    ['Display P3', () => picture().png().withIccProfile('p3').toBuffer()],
    ['sRGB', () => picture().png().withIccProfile('srgb').toBuffer()],
    ['CMYK', () => picture().jpeg({ quality: 98 }).withIccProfile('cmyk').toBuffer()],
    ['ProPhoto', () => picture().png().withIccProfile(prophoto()).toBuffer()],
  ])('converts colours in %s to sRGB', async (name, make) => {
    const bytes = await make();
    expect((await sharp(bytes).metadata()).icc).toBeInstanceOf(Buffer);
    const image = await decodePicture(bytes, limits);
    expectNear(pixel(image, 20, 8), RED!, name === 'CMYK' ? 30 : 4);
    expectNear(pixel(image, 2, 8), GREEN!, name === 'CMYK' ? 30 : 4);
  });

  it('turns 16 bits into 8', async () => {
    const image = await decodePicture(await picture().toColourspace('rgb16').png().toBuffer(), limits);
    expect([pixel(image, 2, 2), pixel(image, 20, 2)]).toEqual([GREEN, RED]);
  });

  it.each([
    ['grey', 'b-w', Uint8Array.of(0, 103, 255)],
    ['16-bit grey', 'grey16', Uint16Array.of(0, 103 * 257, 65535)],
  ] as const)('turns %s into RGB', async (_, space, row) => {
    const grey = sharp(row, { raw: { width: 3, height: 1, channels: 1 } }).toColourspace(space);
    const image = await decodePicture(await grey.png().toBuffer(), limits);
    expect([...image.data]).toEqual([0, 0, 0, 103, 103, 103, 255, 255, 255]);
  });

  it('turns CMYK into RGB', async () => {
    const image = await decodePicture(await picture().toColourspace('cmyk').jpeg({ quality: 98 }).toBuffer(), limits);
    expect(image.data.length).toBe(24 * 16 * 3);
    expectNear(pixel(image, 20, 2), RED!, 30);
  });

  it('decodes a palette', async () => {
    const image = await decodePicture(await picture().png({ palette: true }).toBuffer(), limits);
    expectNear(pixel(image, 2, 2), GREEN!, 8);
  });

  it.each(['jpeg', 'png', 'webp'] as const)('refuses a %s that was cut short', async (format) => {
    const bytes = await noise(format);
    const error = await failure(decodePicture(bytes.subarray(0, bytes.length / 2), limits));
    expect(error.code).toBe('INVALID_ARGUMENT');
    expect(error.message).toMatch(/send it again|send a whole/);
  });

  it.each([false, true])(
    'refuses half a JPEG that was closed with an end marker (progressive: %s)',
    async (progressive) => {
      const whole = await sharp(await noise('jpeg'))
        .jpeg({ progressive })
        .toBuffer();
      const half = Buffer.concat([whole.subarray(0, whole.length / 2), END_OF_JPEG]);
      const error = await failure(decodePicture(half, limits));
      expect(error).toMatchObject({ code: 'INVALID_ARGUMENT', message: expect.stringContaining('cut short') });
    },
  );

  it('takes a JPEG with stray bytes in it or data after it, and one of several in a file', async () => {
    const whole = await noise('jpeg');
    const expected = await decodePicture(whole, limits);
    const stray = Buffer.concat([whole.subarray(0, -2), Buffer.from([0, 0, 0x12]), END_OF_JPEG]);
    const beforeScan = Buffer.concat([whole.subarray(0, 2), Buffer.from([0, 0x12, 0]), whole.subarray(2)]);
    for (const bytes of [
      stray,
      beforeScan,
      Buffer.concat([whole, Buffer.alloc(500, 7)]),
      Buffer.concat([whole, whole]),
    ])
      expect(await decodePicture(bytes, limits)).toEqual(expected);
  });

  it('decodes the first frame of an animation', async () => {
    const frames = [await picture().png().toBuffer(), await picture().negate().png().toBuffer()];
    const animation = sharp(frames, { join: { animated: true } });
    const allowing = { ...limits, formats: ['webp', 'gif'] as const };
    for (const bytes of [
      await animation.clone().webp({ lossless: true }).toBuffer(),
      await animation.gif().toBuffer(),
    ]) {
      const image = await decodePicture(bytes, allowing);
      expect([image.width, image.height]).toEqual([24, 16]);
      expectNear(pixel(image, 20, 8), RED!, 8);
    }
  });

  it.each(['gif', 'tiff', 'avif'] as const)('decodes a %s where it is allowed, and no part of one', async (format) => {
    const bytes = await picture().toFormat(format, { quality: 98 }).toBuffer();
    const allowing = { ...limits, formats: [format] };
    expectNear(pixel(await decodePicture(bytes, allowing), 20, 8), RED!, 12);
    const error = await failure(decodePicture(bytes.subarray(0, bytes.length - 20), allowing));
    expect(error.code).toBe('INVALID_ARGUMENT');
  });

  it('refuses a picture that is broken in its middle', async () => {
    const bytes = await noise('png');
    bytes.fill(0, 1000, 1500);
    const error = await failure(decodePicture(bytes, limits));
    expect(error).toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: 'The picture is cut short or broken; send it again.',
    });
  });
});

const END_OF_JPEG = Buffer.from([0xff, 0xd9]);

const UNKNOWN = 'This cannot be read as a picture';

function latin1(text: string): Buffer {
  return Buffer.from(text, 'latin1');
}

/** As a file of boxes begins: the length of the first, and what it is. */
function boxed(text: string): Buffer {
  return latin1(`\0\0\0\x18${text}`);
}

/** A BMP of 1 x 1. */
function bmp(): Buffer {
  const file = Buffer.alloc(58);
  file.write('BM', 'latin1');
  file.writeUInt32LE(58, 2);
  file.writeUInt32LE(54, 10);
  file.writeUInt32LE(40, 14);
  file.writeUInt32LE(1, 18);
  file.writeUInt32LE(1, 22);
  file.writeUInt16LE(1, 26);
  file.writeUInt16LE(24, 28);
  return file;
}

/** 300 x 200, hard to compress. */
function noise(format: 'jpeg' | 'png' | 'webp'): Promise<Buffer> {
  const pixels = Buffer.from(Array.from({ length: 300 * 200 * 3 }, (_, i) => (i * i) % 251));
  return sharp(pixels, { raw: { width: 300, height: 200, channels: 3 } })
    .toFormat(format)
    .toBuffer();
}

async function failure(promise: Promise<unknown>): Promise<SegueError> {
  return promise.then(
    () => Promise.reject(new Error('expected a failure')),
    (error: SegueError) => error,
  );
}
