import { array, assert, constantFrom, integer, property } from 'fast-check';
import { expect, it } from 'vitest';
import { decodeMask, encodeMask, maskArea, maskBox, maskIou } from './mask.js';
import { maskToPolygon, polygonToMask } from './polygon.js';

const side = integer({ min: 1, max: 12 });
const masks = side.chain((height) =>
  side.chain((width) =>
    array(constantFrom(0, 1), { minLength: height * width, maxLength: height * width }).map((bits) => {
      return { pixels: Uint8Array.from(bits), height, width };
    }),
  ),
);

it('any mask is the same after its run lengths, and after its polygon', () => {
  assert(
    property(masks, ({ pixels, height, width }) => {
      const mask = encodeMask(pixels, height, width);
      expect(decodeMask(mask)).toEqual(pixels);
      expect(polygonToMask(maskToPolygon(mask), mask.size)).toEqual(mask);
      expect(maskIou(mask, mask)).toBe(1);
    }),
    { numRuns: 300 },
  );
});

it('the box of any mask holds all of it, and touches it on each side', () => {
  assert(
    property(masks, ({ pixels, height, width }) => {
      const mask = encodeMask(pixels, height, width);
      const inside = [...pixels.keys()].filter((index) => pixels[index] === 1);
      const [xs, ys] = [inside.map((index) => index % width), inside.map((index) => Math.floor(index / width))];
      const box = inside.length === 0 ? [0, 0, 0, 0] : [Math.min(...xs), Math.min(...ys)];
      if (inside.length > 0) box.push(Math.max(...xs) - Math.min(...xs) + 1, Math.max(...ys) - Math.min(...ys) + 1);
      expect(maskBox(mask)).toEqual(box);
      expect(maskArea(mask)).toBe(inside.length);
    }),
    { numRuns: 300 },
  );
});
