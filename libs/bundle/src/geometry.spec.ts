import { describe, expect, it } from 'vitest';
import { fitSize, frameSize } from './geometry.js';
import type { ImageInput } from './manifest.js';

const base: ImageInput = {
  resize: { rule: 'longest_side', size: 512, filter: 'bilinear', rounding: 'half_up' },
  centreCrop: null,
  pad: { to: [512, 512], when: 'after_normalise', value: [0, 0, 0] },
  rescale: 1,
  mean: [0, 0, 0],
  std: [1, 1, 1],
};

describe('fitSize', () => {
  const shortest: ImageInput = {
    ...base,
    resize: { rule: 'shortest_side', size: 224, filter: 'bicubic', rounding: 'down' },
    centreCrop: [224, 224],
    pad: null,
  };
  const stretch: ImageInput = {
    ...base,
    resize: { rule: 'stretch', size: 384, filter: 'bilinear', rounding: 'half_up' },
    pad: null,
  };

  it.each([
    [base, [480, 640], [384, 512]],
    [base, [640, 480], [512, 384]],
    [base, [100, 100], [512, 512]],
    [base, [427, 640], [342, 512]],
    [base, [1, 40000], [1, 512]],
    [shortest, [480, 640], [224, 298]],
    [{ ...shortest, resize: { ...shortest.resize, rounding: 'half_up' } }, [480, 640], [224, 299]],
    [shortest, [49, 147], [224, 672]],
    [stretch, [480, 640], [384, 384]],
  ] as const)('fits a picture', (spec, size, fitted) => {
    expect(fitSize(spec, size)).toEqual(fitted);
  });

  it('rounds a half up', () => {
    expect(fitSize({ ...base, resize: { ...base.resize, size: 5 } }, [10, 5])).toEqual([5, 3]);
  });

  it('knows the frame around it', () => {
    expect([base, shortest, stretch].map(frameSize)).toEqual([
      [512, 512],
      [224, 224],
      [384, 384],
    ]);
  });
});
