import { describe, expect, it } from 'vitest';
import { encodeMask, type RunLengthMask } from '@segue/core';
import { maskToPolygon } from './polygon.js';

/** A mask drawn with `#`. */
function draw(...rows: string[]): RunLengthMask {
  const pixels = Uint8Array.from(rows.join(''), (pixel) => (pixel === '#' ? 1 : 0));
  return encodeMask(pixels, rows.length, rows[0]!.length);
}

/** Fills rings by the even-odd rule: a pixel is inside when a ray to the left of its centre crosses them an odd number of times. */
function fill(rings: number[][], [height, width]: readonly [number, number]): RunLengthMask {
  const pixels = new Uint8Array(height * width);
  for (const ring of rings) {
    for (let i = 0; i < ring.length; i += 2) {
      const [x0, y0] = [ring[i]!, ring[i + 1]!];
      const [x1, y1] = [ring[(i + 2) % ring.length]!, ring[(i + 3) % ring.length]!];
      if (x0 !== x1) continue;
      for (let y = Math.min(y0, y1); y < Math.max(y0, y1); y++) {
        for (let x = x0; x < width; x++) pixels[y * width + x]! ^= 1;
      }
    }
  }
  return encodeMask(pixels, height, width);
}

describe('maskToPolygon', () => {
  it('gives no ring for an empty mask', () => {
    expect(maskToPolygon(draw('...', '...'))).toEqual([]);
  });

  it('runs clockwise along the edges of pixels, with corners only', () => {
    expect(maskToPolygon(draw('....', '.##.', '.##.', '....'))).toEqual([[1, 1, 3, 1, 3, 3, 1, 3]]);
  });

  it('reaches the edges of the picture', () => {
    expect(maskToPolygon(draw('##', '##'))).toEqual([[0, 0, 2, 0, 2, 2, 0, 2]]);
  });

  it('runs the other way round a hole', () => {
    expect(maskToPolygon(draw('###', '#.#', '###'))).toEqual([
      [0, 0, 3, 0, 3, 3, 0, 3],
      [1, 2, 2, 2, 2, 1, 1, 1],
    ]);
  });

  it.each([
    ['#.', '.#'],
    ['.#', '#.'],
  ])('keeps pixels apart that touch at a corner: %s %s', (...rows) => {
    const rings = maskToPolygon(draw(...rows));
    expect(rings.map((ring) => ring.length)).toEqual([8, 8]);
  });

  const masks = [
    draw('#.#', '.#.', '#.#'),
    draw('#####', '#...#', '#.#.#', '#...#', '#####'),
    draw('##..', '#.#.', '.#.#', '..##'),
    draw('#'),
    ...[0.1, 0.5, 0.9].map((share, seed) => noise(23, 31, share, seed + 1)),
  ];
  it.each(masks)('is exactly the mask (%#)', (mask) => {
    expect(fill(maskToPolygon(mask), mask.size)).toEqual(mask);
  });
});

function noise(height: number, width: number, share: number, seed: number): RunLengthMask {
  let state = seed;
  const next = (): number => (state = (state * 48271) % 2147483647) / 2147483647;
  return encodeMask(
    Uint8Array.from({ length: height * width }, () => (next() < share ? 1 : 0)),
    height,
    width,
  );
}
