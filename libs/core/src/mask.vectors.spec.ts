import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { decodeMask, encodeMask, maskArea, maskBox, maskRuns } from './mask.js';

interface Vector {
  readonly name: string;
  readonly size: [number, number];
  readonly rows: readonly string[];
  readonly runs: readonly number[];
  readonly counts: string;
  readonly area: number;
  readonly box: readonly number[];
}

/** What clients in other languages are held to as well. */
const { masks } = JSON.parse(readFileSync(new URL('../../../proto/vectors/rle.json', import.meta.url), 'utf8')) as {
  readonly masks: readonly Vector[];
};

describe('the shared vectors', () => {
  it.each(masks)('$name', ({ size, rows, runs, counts, area, box }) => {
    const pixels = Uint8Array.from(rows.join(''), Number);
    expect(encodeMask(pixels, ...size)).toEqual({ size, counts });
    expect(decodeMask({ size, counts })).toEqual(pixels);
    expect(maskRuns({ size, counts })).toEqual(runs);
    expect([maskArea({ size, counts }), maskBox({ size, counts })]).toEqual([area, box]);
  });
});
