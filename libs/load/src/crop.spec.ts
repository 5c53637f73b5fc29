import { expect, it } from 'vitest';
import { cropOf } from './crop.js';

it('cuts another part for each seed, the same for the same, within the photo', () => {
  const photo = { width: 600, height: 400 };
  const crops = Array.from({ length: 50 }, (_, seed) => cropOf(photo, seed));
  expect(new Set(crops.map((crop) => JSON.stringify(crop))).size).toBe(50);
  expect(cropOf(photo, 7)).toEqual(crops[7]);
  for (const { left, top, width, height } of crops) {
    expect(left + width).toBeLessThanOrEqual(600);
    expect(top + height).toBeLessThanOrEqual(400);
    expect(width).toBeGreaterThanOrEqual(450);
  }
});
