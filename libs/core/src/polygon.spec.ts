import { describe, expect, it } from 'vitest';
import { encodeMask, maskIou, type RunLengthMask } from './mask.js';
import { maskToPolygon, polygonToMask } from './polygon.js';

/** A mask drawn with `#`. */
function draw(...rows: string[]): RunLengthMask {
  const pixels = Uint8Array.from(rows.join(''), (pixel) => (pixel === '#' ? 1 : 0));
  return encodeMask(pixels, rows.length, rows[0]!.length);
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
    expect(polygonToMask(maskToPolygon(mask), mask.size)).toEqual(mask);
  });
});

describe('polygonToMask', () => {
  it('fills what slanted edges enclose', () => {
    const triangle = polygonToMask([[0, 0, 100, 0, 0, 100]], [100, 100]);
    const expected = encodeMask(
      Uint8Array.from({ length: 10_000 }, (_, i) => ((i % 100) + Math.floor(i / 100) + 1 < 100 ? 1 : 0)),
      100,
      100,
    );
    expect(maskIou(triangle, expected)).toBe(1);
  });

  it('leaves holes open and cuts off what lies outside the picture', () => {
    const rings = [
      [-5, -5, 9, -5, 9, 9, -5, 9],
      [1, 1, 1, 2, 2, 2, 2, 1],
    ];
    expect(polygonToMask(rings, [3, 3])).toEqual(draw('###', '#.#', '###'));
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
