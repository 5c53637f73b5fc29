import { decodeMask, encodeMask, type RunLengthMask, type SegueError } from '@segue/core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { maskToOutline } from './outline.js';
import { startRenderer, type Renderer } from './renderer.js';
import { sharp } from './sharp.js';

const OPTIONS = { threads: 1, maxWaiting: 8, maxKeptBytes: 20_000 };
let renderer: Renderer;
beforeAll(() => {
  renderer = startRenderer(OPTIONS);
});
afterAll(() => renderer.close());

/** A disc; each of another radius is another mask. */
function disc(side: number, radius = side * 0.4): RunLengthMask {
  const middle = side / 2;
  const inside = (i: number): boolean =>
    ((i % side) - middle) ** 2 + (Math.floor(i / side) - middle) ** 2 < radius ** 2;
  return encodeMask(
    Uint8Array.from({ length: side * side }, (_, i) => (inside(i) ? 1 : 0)),
    side,
    side,
  );
}

async function picture(side: number): Promise<Buffer> {
  return sharp({ create: { width: side, height: side, channels: 3, background: 'grey' } })
    .png()
    .toBuffer();
}

describe('Renderer', () => {
  it('makes what the functions themselves make', async () => {
    const mask = disc(50);
    expect(await renderer.polygon(mask, 0)).toEqual(maskToOutline(mask));
    expect(await renderer.polygon(mask, 2)).toEqual(maskToOutline(mask, { tolerance: 2 }));
    const pixels = await sharp(Buffer.from(await renderer.png(mask)))
      .toColourspace('b-w')
      .raw()
      .toBuffer();
    expect(pixels.map((value) => value / 255)).toEqual(Buffer.from(decodeMask(mask)));
  });

  it('lets the event loop go on meanwhile', async () => {
    const mask = disc(2500);
    await renderer.polygon(disc(10), 0); // the thread has started
    let turns = 0;
    const turning = setInterval(() => turns++, 5);
    await Promise.all([renderer.polygon(mask, 0), renderer.png(mask)]);
    clearInterval(turning);
    // On this thread it would have been one or two.
    expect(turns).toBeGreaterThan(5);
  });

  it('makes a thing once, for all who ask and for those who ask later', async () => {
    const opened: string[] = [];
    const ask = () =>
      renderer.overlay({
        imageId: 'a',
        picture: async () => {
          opened.push('a');
          return picture(64);
        },
        segments: [{ index: 0, phrase: 'the disc', span: [0, 8], mask: disc(64) }],
        text: 'the disc <SEG>',
        limits: { maxBytes: 1e6, maxPixels: 1e6 },
      });
    const [first, second] = await Promise.all([ask(), ask()]);
    expect(await ask()).toBe(first);
    expect(second).toBe(first);
    expect(opened).toEqual(['a']);
  });

  it('keeps no more than it may', async () => {
    const first = await renderer.polygon(disc(60), 0);
    expect(await renderer.polygon(disc(60), 0)).toBe(first);
    for (let radius = 5; radius < 29; radius++) await renderer.polygon(disc(60, radius + 0.5), 0);
    const again = await renderer.polygon(disc(60), 0);
    expect(again).not.toBe(first);
    expect(again).toEqual(first);
  });

  it('refuses more than may wait, and goes on', async () => {
    const all = Array.from({ length: OPTIONS.maxWaiting + 4 }, (_, i) => renderer.polygon(disc(1000, 100 + i), 0));
    const refused = (await Promise.allSettled(all)).flatMap((result) =>
      result.status === 'rejected' ? [result.reason as SegueError] : [],
    );
    expect(refused.length).toBeGreaterThan(0);
    expect(refused.length).toBeLessThanOrEqual(4);
    for (const error of refused) expect(error).toMatchObject({ code: 'RESOURCE_EXHAUSTED', retryAfterMs: 1_000 });
    expect(await renderer.polygon(disc(20), 0)).toEqual(maskToOutline(disc(20)));
  });

  it('hands on why something cannot be made', async () => {
    const broken = { size: [10, 10] as const, counts: '5' };
    await expect(renderer.polygon(broken, 0)).rejects.toThrow(/cover/);
  });
});
