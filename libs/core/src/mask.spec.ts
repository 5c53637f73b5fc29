import { describe, expect, it } from 'vitest';
import { decodeMask, encodeMask, maskArea, maskBox, maskIou, maskRuns, type RunLengthMask } from './mask.js';

type Pixel = (y: number, x: number) => boolean;

function paint(height: number, width: number, inside: Pixel): Uint8Array {
  return Uint8Array.from({ length: height * width }, (_, i) => (inside(Math.floor(i / width), i % width) ? 1 : 0));
}

function disc(centreY: number, centreX: number, radius: number): Pixel {
  return (y, x) => (y - centreY) ** 2 + (x - centreX) ** 2 <= radius ** 2;
}

function encode([height, width]: readonly [number, number], inside: Pixel): RunLengthMask {
  return encodeMask(paint(height, width, inside), height, width);
}

const ring: Pixel = (y, x) => disc(60, 45, 40)(y, x) && !disc(60, 45, 20)(y, x);

/** Counts, areas and boxes as pycocotools 2.0 gives them. */
const golden: [string, [number, number], Pixel, string, number, number[]][] = [
  ['nothing', [3, 4], () => false, '<', 0, [0, 0, 0, 0]],
  ['everything', [3, 4], () => true, '0<', 12, [0, 0, 4, 3]],
  ['one pixel', [1, 1], () => true, '01', 1, [0, 0, 1, 1]],
  ['the first pixel', [2, 2], (y, x) => y + x === 0, '013', 1, [0, 0, 1, 1]],
  ['the last pixel', [2, 2], (y, x) => y + x === 2, '31', 1, [1, 1, 1, 1]],
  ['a checkerboard', [4, 5], (y, x) => (y + x) % 2 === 1, '11110O10O10O10O0', 10, [0, 0, 5, 4]],
  ['a disc', [40, 50], disc(18, 27, 11), 'bd01S18J4M2N2N2O0O2O00000O20N1000001N101N2N2N3L6HZ=', 377, [16, 7, 23, 23]],
  [
    'a ring',
    [120, 90],
    ring,
    'dd01_3`0D8I6K4L4L4M2M4M2N2N2N2N2N2N2N2O0O2N2OmN^N0a1KkN0T1NPO0o0OUO0j0NZO0e00]O0b0O@0`0OB0=0E0:0F0:OH080H070K040L04ON020N020N020N020N020N01010O0O020N020N020N020N020N021L040L050I080H081F0:0F0;0C0>1@0`01^O0c00[O0f02VO0k01QO0P12lN0U15_N0b1S11N2N101N2N2N2N2N2N2N2N3L3N3L4L4L5J7H<@\\=',
    3768,
    [5, 20, 81, 81],
  ],
];

describe.each(golden)('%s', (_, size, inside, counts, area, box) => {
  const mask: RunLengthMask = { size, counts };

  it('is encoded as pycocotools does', () => {
    expect(encode(size, inside)).toEqual(mask);
  });

  it('comes back', () => {
    expect(decodeMask(mask)).toEqual(paint(...size, inside));
  });

  it('has its area and box', () => {
    expect([maskArea(mask), maskBox(mask)]).toEqual([area, box]);
  });
});

describe('encodeMask', () => {
  it('takes any value but 0 as inside', () => {
    expect(encodeMask(Uint8Array.of(0, 255, 7, 1), 2, 2)).toEqual(encodeMask(Uint8Array.of(0, 1, 1, 1), 2, 2));
  });

  it('refuses pixels of another size', () => {
    expect(() => encodeMask(new Uint8Array(5), 2, 3)).toThrow('2 x 3 pixels expected, not 5');
  });
});

describe('maskRuns', () => {
  it('begins with zeros', () => {
    expect(maskRuns(encode([3, 4], () => true))).toEqual([0, 12]);
  });

  it.each(['', '0', '9', '0<1', '=O'])('refuses counts "%s" that do not cover 3 x 4', (counts) => {
    expect(() => maskRuns({ size: [3, 4], counts })).toThrow(/cover -?\d+ pixels, not 3 x 4/);
  });
});

describe('maskIou', () => {
  it('is that of pycocotools', () => {
    expect(maskIou(encode([40, 50], disc(18, 27, 11)), encode([40, 50], disc(20, 30, 9)))).toBeCloseTo(0.58291457, 8);
  });

  it('is 1 for two empty masks and 0 for one', () => {
    const empty = encode([3, 4], () => false);
    expect([maskIou(empty, empty), maskIou(empty, encode([3, 4], disc(1, 1, 1)))]).toEqual([1, 0]);
  });

  it('refuses masks of two sizes', () => {
    expect(() => maskIou(encode([3, 4], disc(1, 1, 1)), encode([4, 3], disc(1, 1, 1)))).toThrow(RangeError);
  });
});
