import { describe, expect, it } from 'vitest';
import type { Manifest } from '@segue/bundle';
import { decodeMask } from '@segue/core';
import type { Feeds, Fetches } from '@segue/inference';
import { Decoder, type DecodeRequest } from './decoder.js';

const manifest = {
  images: { main: { resize: { rule: 'longest_side', size: 8, filter: 'bilinear', rounding: 'half_up' } } },
  encoder: { decoderTensors: ['coarse', 'fine'] },
  decoder: { graph: 'decoder', image: 'main', maxSegmentsPerRun: 2 },
  language: { promptSize: 2 },
} as unknown as Manifest;

const tensor = { dtype: 'float32' as const, shape: [1], data: Float32Array.of(1) };
const original: [number, number] = [2, 4];

/** The mask of an embedding [n, score] is the first n pixels. */
function compute(feeds: Feeds): Fetches {
  const { data, shape } = feeds['seg_embeddings']!;
  const [height, width] = Array.from(feeds['original_size']!.data, Number) as [number, number];
  const segments = shape[0]!;
  const masks = new Uint8Array(segments * height * width);
  for (let i = 0; i < segments; i++) masks.fill(1, i * height * width, i * height * width + Number(data[2 * i]));
  const scores = Float32Array.from({ length: segments }, (_, i) => Number(data[2 * i + 1]));
  return {
    masks: { dtype: 'uint8', shape: [segments, height, width], data: masks },
    scores: { dtype: 'float32', shape: [segments], data: scores },
    peak_logit: { dtype: 'float32', shape: [segments], data: scores.map((score) => 10 * score) },
  };
}

function start(change: (fetches: Fetches) => Fetches = (fetches) => fetches) {
  const fed: Feeds[] = [];
  const session = {
    run: (feeds: Feeds) => {
      fed.push(feeds);
      return Promise.resolve(change(compute(feeds)));
    },
  };
  const decoder = new Decoder({ manifest }, { decoder: session });
  const decode = (embeddings: number[][], changed: Partial<DecodeRequest> = {}) =>
    decoder.decode({
      tensors: { coarse: tensor, fine: tensor, visual: tensor },
      original,
      embeddings: embeddings.map((values) => Float32Array.from(values)),
      ...changed,
    });
  return { fed, decode };
}

describe('Decoder', () => {
  it('gives mask, box, area and score of each segment', async () => {
    const { decode } = start();
    const [first, empty] = await decode([
      [6, 0.5],
      [0, 0.25],
    ]);
    expect([...decodeMask(first!.mask)]).toEqual([1, 1, 1, 1, 1, 1, 0, 0]);
    expect(first).toMatchObject({ box: [0, 0, 4, 2], area: 6, score: 0.5 });
    expect(empty).toMatchObject({ box: [0, 0, 0, 0], area: 0, score: 0.25 });
  });

  it("feeds the decoder's tensors, the prompts and both sizes", async () => {
    const { fed, decode } = start();
    await decode([[1, 0.5]]);
    expect(fed).toEqual([
      {
        coarse: tensor,
        fine: tensor,
        seg_embeddings: { dtype: 'float32', shape: [1, 2], data: Float32Array.of(1, 0.5) },
        resized_size: { dtype: 'int64', shape: [2], data: BigInt64Array.of(4n, 8n) },
        original_size: { dtype: 'int64', shape: [2], data: BigInt64Array.of(2n, 4n) },
      },
    ]);
  });

  it('runs no more segments at once than the manifest allows', async () => {
    const { fed, decode } = start();
    const masks = await decode([1, 2, 3, 4, 5].map((n) => [n, 0.5]));
    expect(masks.map(({ area }) => area)).toEqual([1, 2, 3, 4, 5]);
    expect(fed.map((feeds) => feeds['seg_embeddings']!.shape[0])).toEqual([2, 2, 1]);
  });

  it('decodes nothing without running', async () => {
    const { fed, decode } = start();
    expect([await decode([]), fed]).toEqual([[], []]);
  });

  it.each([NaN, Infinity])('reports logits of %s instead of a mask', async (peak) => {
    const { decode } = start((fetches) => ({
      ...fetches,
      peak_logit: { dtype: 'float32', shape: [1], data: Float32Array.of(peak) },
    }));
    await expect(decode([[1, 0.5]])).rejects.toMatchObject({
      code: 'INTERNAL',
      cause: { message: `segment 0 has the peak logit ${peak} and the score 0.5` },
    });
  });

  it('reports a score that is not a number', async () => {
    const { decode } = start((fetches) => ({
      ...fetches,
      scores: { dtype: 'float32', shape: [1], data: Float32Array.of(NaN) },
    }));
    await expect(decode([[1, 0.5]])).rejects.toMatchObject({ code: 'INTERNAL' });
  });

  it('refuses masks of another size', async () => {
    const { decode } = start(({ masks, ...rest }) => ({ ...rest, masks: { ...masks!, shape: [1, 4, 2] } }));
    await expect(decode([[1, 0.5]])).rejects.toMatchObject({
      cause: { message: 'the graph gave uint8[1, 4, 2] as "masks" instead of uint8[1, 2, 4]' },
    });
  });

  it('says which tensor is missing and which embedding does not fit', async () => {
    const { decode } = start();
    await expect(decode([[1, 0.5]], { tensors: { coarse: tensor } })).rejects.toMatchObject({
      cause: { message: 'the picture\'s tensor "fine" is missing' },
    });
    await expect(decode([[1]])).rejects.toMatchObject({ cause: { message: 'an embedding has 1 values, not 2' } });
    expect(() => new Decoder({ manifest }, {})).toThrow(expect.objectContaining({ code: 'INTERNAL' }));
  });
});
