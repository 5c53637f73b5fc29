import { describe, expect, it } from 'vitest';
import type { ImageInput } from '@segue/bundle';
import type { RgbImage } from './picture.js';
import { preprocess, type PreprocessedPicture } from './preprocess.js';

/** Each pixel tells its place: red is the column, green the row, blue 7. */
function ramp(height: number, width: number): RgbImage {
  const pixels = Array.from({ length: height * width }, (_, i) => [i % width, Math.floor(i / width), 7]);
  return { width, height, data: Uint8Array.from(pixels.flat()) };
}

const plain: ImageInput = {
  resize: { rule: 'longest_side', size: 4, filter: 'bilinear', rounding: 'half_up' },
  centreCrop: null,
  pad: { to: [4, 4], when: 'after_normalise', value: [0, 0, 0] },
  rescale: 1,
  mean: [0, 0, 0],
  std: [1, 1, 1],
};

/** The channels as rows. */
function planes({ tensor }: PreprocessedPicture<'float32'>): number[][][] {
  const [, channels, height, width] = tensor.shape as [number, number, number, number];
  return Array.from({ length: channels }, (_, c) =>
    Array.from({ length: height }, (_, y) => [
      ...tensor.data.subarray((c * height + y) * width, (c * height + y + 1) * width),
    ]),
  );
}

describe('preprocess', () => {
  it('puts channels first and the picture at the top left', async () => {
    const result = await preprocess(ramp(2, 4), plain);
    expect(result.tensor).toMatchObject({ dtype: 'float32', shape: [1, 3, 4, 4] });
    expect([result.resized, result.original]).toEqual([
      [2, 4],
      [2, 4],
    ]);
    expect(planes(result)).toEqual([
      [
        [0, 1, 2, 3],
        [0, 1, 2, 3],
        [0, 0, 0, 0],
        [0, 0, 0, 0],
      ],
      [
        [0, 0, 0, 0],
        [1, 1, 1, 1],
        [0, 0, 0, 0],
        [0, 0, 0, 0],
      ],
      [
        [7, 7, 7, 7],
        [7, 7, 7, 7],
        [0, 0, 0, 0],
        [0, 0, 0, 0],
      ],
    ]);
  });

  it('gives the same as bytes where nothing is to be normalised', async () => {
    const spec: ImageInput = { ...plain, pad: { to: [4, 4], when: 'before_normalise', value: [124, 116, 104] } };
    const [floats, bytes] = [await preprocess(ramp(3, 4), spec), await preprocess(ramp(3, 4), spec, 'uint8')];
    expect(bytes.tensor).toMatchObject({ dtype: 'uint8', shape: [1, 3, 4, 4] });
    expect([...bytes.tensor.data]).toEqual([...floats.tensor.data]);
  });

  it('rescales, then normalises each channel; the padding that follows is 0', async () => {
    const spec: ImageInput = { ...plain, rescale: 0.5, mean: [1, 2, 3], std: [2, 4, 0.5] };
    const [red, green, blue] = planes(await preprocess(ramp(4, 2), spec));
    expect([red![1], green![1], blue![1]]).toEqual([
      [-0.5, -0.25, 0, 0],
      [-0.375, -0.375, 0, 0],
      [1, 1, 0, 0],
    ]);
  });

  it('normalises padding that comes before', async () => {
    const spec: ImageInput = {
      ...plain,
      ...{ rescale: 0.5, mean: [1, 2, 3], std: [2, 4, 0.5] },
      pad: { to: [4, 4], when: 'before_normalise', value: [10, 20, 30] },
    };
    const result = planes(await preprocess(ramp(4, 2), spec));
    expect(result.map((plane) => plane[0]!.slice(2))).toEqual([
      [2, 2],
      [2, 2],
      [24, 24],
    ]);
  });

  it('cuts out the middle of a picture resized by its shortest side', async () => {
    const spec: ImageInput = {
      ...plain,
      resize: { rule: 'shortest_side', size: 3, filter: 'bicubic', rounding: 'half_up' },
      ...{ centreCrop: [3, 3], pad: null },
    };
    const result = await preprocess(ramp(3, 8), spec);
    expect(result.resized).toEqual([3, 8]);
    expect(planes(result)[0]).toEqual([
      [2, 3, 4],
      [2, 3, 4],
      [2, 3, 4],
    ]);
  });

  it('resizes with the filter of the manifest', async () => {
    const edge: RgbImage = { width: 2, height: 1, data: Uint8Array.of(0, 0, 0, 200, 200, 200) };
    const row = async (filter: 'bilinear' | 'bicubic'): Promise<number[]> => {
      const spec: ImageInput = { ...plain, resize: { rule: 'longest_side', size: 4, filter, rounding: 'half_up' } };
      return planes(await preprocess(edge, spec))[0]![0]!;
    };
    // Pillow: Image.resize((4, 2), BILINEAR), and BICUBIC, which overshoots (here below 0, where it is cut off).
    expect(await row('bilinear')).toEqual([0, 50, 150, 200]);
    expect(await row('bicubic')).toEqual([0, 41, 159, 218]);
  });
});
