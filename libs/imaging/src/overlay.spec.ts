import { beforeAll, describe, expect, it } from 'vitest';
import { encodeMask, PALETTE, type RunLengthMask } from '@segue/core';
import { renderOverlay, type OverlaySegment } from './overlay.js';
import { sharp } from './sharp.js';

const [WIDTH, HEIGHT] = [640, 320];
const GREY = [128, 128, 128];
let grey: Buffer;

beforeAll(async () => {
  grey = await greyPicture(WIDTH, HEIGHT);
});

describe('renderOverlay', () => {
  it('fills a mask, outlines it, and leaves the rest alone', async () => {
    const picture = await open(await renderOverlay(grey, [segment(1, square(100, 50, 200))]));
    const colour = rgb(1);
    expect(picture.pixel(50, 25)).toEqual(GREY);
    expect(picture.pixel(100, 60)).toEqual(colour);
    expect(picture.pixel(299, 60)).toEqual(colour);
    picture.pixel(200, 150).forEach((value, c) => expect(value).toBeCloseTo(0.55 * 128 + 0.45 * colour[c]!, -0.5));
  });

  it('draws no outline where the picture ends', async () => {
    const picture = await open(await renderOverlay(grey, [segment(0, square(0, 0, 100))]));
    expect(picture.pixel(0, 50)).toEqual(picture.pixel(50, 50));
    expect(picture.pixel(50, 0)).toEqual(picture.pixel(50, 50));
  });

  it('begins the colours again after the last', async () => {
    const index = PALETTE.length + 1;
    const picture = await open(await renderOverlay(grey, [segment(index, square(100, 50, 200))]));
    expect(picture.pixel(100, 60)).toEqual(rgb(1));
  });

  it('writes the answer under the picture, with the phrase on its colour', async () => {
    const text = 'It is 🙂 the cup <SEG>.';
    const picture = await open(await renderOverlay(grey, [segment(2, square(0, 0, 9), 'the cup', [8, 15])], { text }));
    expect(picture.height).toBeGreaterThan(HEIGHT + 20);
    expect(picture.pixel(2, HEIGHT + 2)).toEqual([255, 255, 255]);
    expect(picture.count(rgb(2), HEIGHT)).toBeGreaterThan(200);
  });

  it('writes the answer alone when nothing was found', async () => {
    const picture = await open(await renderOverlay(grey, [], { text: 'There is no umbrella.' }));
    expect(picture.height).toBeGreaterThan(HEIGHT + 20);
  });

  it.each([undefined, '<SEG>', ''])('writes the phrases when there are no words (%j)', async (text) => {
    const overlay = await renderOverlay(
      grey,
      [segment(3, square(0, 0, 9), 'a cup')],
      text === undefined ? {} : { text },
    );
    expect((await open(overlay)).count(rgb(3), HEIGHT)).toBeGreaterThan(200);
  });

  it('numbers a segment that has no phrase', async () => {
    const overlay = await renderOverlay(grey, [segment(3, square(0, 0, 9), '')], { text: 'Sure, <SEG>.' });
    expect((await open(overlay)).count(rgb(3), HEIGHT)).toBeGreaterThan(50);
  });

  it('takes any text for text', async () => {
    const hostile = '<b>&amp;</span> \u0000\u001b \ud800 \u202e';
    const segments = [segment(0, square(0, 0, 9), hostile), segment(1, square(0, 0, 9), hostile, [0, 9])];
    await expect(renderOverlay(grey, segments, { text: `${hostile} <SEG>` })).resolves.toBeInstanceOf(Buffer);
  });

  it('is the picture when there is nothing to show', async () => {
    const picture = await open(await renderOverlay(grey, []));
    expect([picture.width, picture.height]).toEqual([WIDTH, HEIGHT]);
  });

  it('shows a transparent PNG on white, and Display P3 in sRGB', async () => {
    const half = Buffer.from(Array.from({ length: 640 * 320 }, (_, i) => [255, 0, 0, i % 640 < 320 ? 255 : 0]).flat());
    const raw = { width: 640, height: 320, channels: 4 } as const;
    const png = await sharp(half, { raw }).png().withIccProfile('p3').toBuffer();
    expect((await sharp(png, { ignoreIcc: true }).raw().toBuffer())[1]).toBeGreaterThan(20); // more green than sRGB's red
    const picture = await open(await renderOverlay(png, []));
    picture.pixel(100, 100).forEach((value, c) => expect(Math.abs(value - [255, 0, 0][c]!)).toBeLessThanOrEqual(4));
    expect(picture.pixel(500, 100)).toEqual([255, 255, 255]);
  });

  it.each([
    [64, 32, 640, 320],
    [4000, 1000, 1600, 400],
  ])('shows %i x %i as %i x %i', async (width, height, shownWidth, shownHeight) => {
    const mask = encodeMask(new Uint8Array(width * height).fill(1, 0, (width * height) / 2), height, width);
    const picture = await open(await renderOverlay(await greyPicture(width, height), [segment(0, mask)]));
    expect(picture.width).toBe(shownWidth);
    expect(picture.pixel(10, shownHeight - 5)).toEqual(GREY);
    expect(picture.pixel(10, shownHeight / 4)).not.toEqual(GREY);
  });

  it('is as small as it is wanted', async () => {
    const picture = await open(await renderOverlay(await greyPicture(4000, 1000), [], { largest: 800 }));
    expect([picture.width, picture.height]).toEqual([800, 200]);
  });

  it('makes room for words beside a narrow picture', async () => {
    const overlay = await renderOverlay(await greyPicture(10, 1000), [], { text: 'There is nothing here.' });
    expect((await open(overlay)).width).toBe(320);
  });
});

function greyPicture(width: number, height: number): Promise<Buffer> {
  return sharp({ create: { width, height, channels: 3, background: 'rgb(128,128,128)' } })
    .png()
    .toBuffer();
}

function segment(index: number, mask: RunLengthMask, phrase = '', span: [number, number] = [0, 0]): OverlaySegment {
  return { index, mask, phrase, span };
}

function square(left: number, top: number, side: number): RunLengthMask {
  const inside = (x: number, y: number): boolean => x >= left && x < left + side && y >= top && y < top + side;
  const pixels = Uint8Array.from({ length: WIDTH * HEIGHT }, (_, i) =>
    inside(i % WIDTH, Math.floor(i / WIDTH)) ? 1 : 0,
  );
  return encodeMask(pixels, HEIGHT, WIDTH);
}

function rgb(index: number): number[] {
  return [...Buffer.from(PALETTE[index]!.slice(1), 'hex')];
}

interface Opened {
  readonly width: number;
  readonly height: number;
  pixel(x: number, y: number): number[];
  /** Pixels of a colour from a row on. */
  count(colour: number[], fromRow: number): number;
}

async function open(png: Buffer): Promise<Opened> {
  const { data, info } = await sharp(png).removeAlpha().raw().toBuffer({ resolveWithObject: true });
  const pixel = (x: number, y: number): number[] => [
    ...data.subarray((y * info.width + x) * 3, (y * info.width + x + 1) * 3),
  ];
  const count = (colour: number[], fromRow: number): number => {
    let found = 0;
    for (let y = fromRow; y < info.height; y++) {
      for (let x = 0; x < info.width; x++) if (pixel(x, y).join() === colour.join()) found++;
    }
    return found;
  };
  return { width: info.width, height: info.height, pixel, count };
}
