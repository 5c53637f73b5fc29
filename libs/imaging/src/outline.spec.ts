import { readFileSync } from 'node:fs';
import { decodeMask, encodeMask, maskIou, maskToPolygon, polygonToMask, type RunLengthMask } from '@segue/core';
import { describe, expect, it } from 'vitest';
import { maskToOutline } from './outline.js';

const SHIPPED = new URL('../../../models/segue-smol/golden/cases.json', import.meta.url);

/** A mask drawn with `#`. */
function draw(...rows: string[]): RunLengthMask {
  const pixels = Uint8Array.from(rows.join(''), (pixel) => (pixel === '#' ? 1 : 0));
  return encodeMask(pixels, rows.length, rows[0]!.length);
}

/** Fills each ring by itself and puts them together, as COCO's readers do. */
function fillEach(rings: number[][], size: RunLengthMask['size']): RunLengthMask {
  const all = rings.map((ring) => decodeMask(polygonToMask([ring], size)));
  const pixels = Uint8Array.from({ length: size[0] * size[1] }, (_, i) => (all.some((each) => each[i] === 1) ? 1 : 0));
  return encodeMask(pixels, ...size);
}

describe('maskToOutline', () => {
  it('gives no ring for an empty mask', () => {
    expect(maskToOutline(draw('...', '...'))).toEqual([]);
  });

  it('runs to a hole, around it, and back', () => {
    expect(maskToOutline(draw('###', '#.#', '###'))).toEqual([
      [0, 0, 3, 0, 3, 3, 0, 3, 0, 1, 1, 1, 1, 2, 2, 2, 2, 1, 1, 1, 0, 1],
    ]);
  });

  it.each([
    draw('#.#', '.#.', '#.#'),
    draw('#####', '#...#', '#.#.#', '#...#', '#####'),
    draw('##..', '#.#.', '.#.#', '..##'),
    draw('#######', '#.#.#.#', '#######', '#.###.#', '##...##', '#.###.#', '#######'),
    draw('......', '.####.', '.#..#.', '.####.'),
    ...[0.1, 0.5, 0.9].map((share, seed) => noise(23, 31, share, seed + 1)),
  ])('is exactly the mask, by the even-odd rule and ring by ring (%#)', (mask) => {
    const rings = maskToOutline(mask);
    expect(polygonToMask(rings, mask.size)).toEqual(mask);
    expect(fillEach(rings, mask.size)).toEqual(mask);
  });

  const answers = JSON.parse(readFileSync(SHIPPED, 'utf8')) as readonly {
    readonly segments: readonly { readonly phrase: string; readonly mask: RunLengthMask }[];
  }[];
  it.each(answers.flatMap(({ segments }) => segments))('with a tolerance has few points: $phrase', ({ mask }) => {
    const points = (rings: number[][]): number => rings.flat().length / 2;
    const rings = maskToOutline(mask, { tolerance: 1.5 });
    expect(points(maskToPolygon(mask))).toBeGreaterThan(200);
    expect(points(rings)).toBeLessThanOrEqual(60);
    for (const filled of [polygonToMask(rings, mask.size), fillEach(rings, mask.size)]) {
      expect(maskIou(filled, mask)).toBeGreaterThan(0.98);
    }
  });

  it('loses what is smaller than the tolerance', () => {
    expect(maskToOutline(draw('#....', '.....', '.....'), { tolerance: 3 })).toEqual([]);
  });
});

function noise(height: number, width: number, share: number, seed: number): RunLengthMask {
  let state = seed;
  const next = (): number => (state = (state * 48271) % 2147483647) / 2147483647;
  const pixels = Uint8Array.from({ length: height * width }, () => (next() < share ? 1 : 0));
  return encodeMask(pixels, height, width);
}
