import { describe, expect, it } from 'vitest';
import type { Manifest } from '@segue/bundle';
import type { Feeds, Fetches, RunOptions, Session } from '@segue/inference';
import type { Tensor } from '@segue/tensors';
import type { RgbImage } from '@segue/stages';
import { Encoder, encoderGraphs } from './encoder.js';

const picture: RgbImage = { width: 2, height: 1, data: Uint8Array.of(1, 2, 3, 4, 5, 6) };

/** Two image inputs and two graphs, as LISA-7B has them; one takes bytes. */
const manifest = {
  images: { sam: { name: 'sam' }, clip: { name: 'clip' } },
  graphs: {
    sam: {
      inputs: [{ name: 'pixels', dtype: 'uint8' }],
      outputs: [{ name: 'embeddings', dtype: 'float32', shape: [1, 2] }],
    },
    clip: {
      inputs: [{ name: 'pixel_values', dtype: 'float32' }],
      outputs: [
        { name: 'pooled', dtype: 'float32', shape: [1] },
        { name: 'visual', dtype: 'float32', shape: [1, 'visual', 2] },
      ],
    },
  },
  encoder: {
    runs: [
      { graph: 'sam', image: 'sam', input: 'pixels' },
      { graph: 'clip', image: 'clip', input: 'pixel_values' },
    ],
    decoderTensors: ['embeddings'],
    visualTokens: 'visual',
  },
} as unknown as Manifest;

function float32(shape: number[], ...values: number[]): Tensor<'float32'> {
  return { dtype: 'float32', shape, data: Float32Array.from(values) };
}

function uint8(value: number): Tensor<'uint8'> {
  return { dtype: 'uint8', shape: [1], data: Uint8Array.of(value) };
}

const outputs: Record<string, Fetches> = {
  sam: { embeddings: float32([1, 2], 1, 2) },
  clip: { pooled: float32([1], 3), visual: float32([1, 2, 2], 4, 5, 6, 7) },
};

function encoder(changed: Record<string, Fetches> = {}, keys = encoderGraphs(manifest)) {
  const fed: [string, Feeds, RunOptions | undefined][] = [];
  const session = (key: string): Session => ({
    run: (feeds, options) => {
      fed.push([key, feeds, options]);
      return Promise.resolve({ ...outputs, ...changed }[key]!);
    },
  });
  const sessions = Object.fromEntries(keys.map((key) => [key, session(key)]));
  const preprocess = (image: RgbImage, spec: unknown, dtype: 'float32' | 'uint8') => {
    const pixels = (spec as { name: string }).name === 'sam' ? image.width : image.height;
    return Promise.resolve({ tensor: dtype === 'uint8' ? uint8(pixels) : float32([1], pixels) });
  };
  const encode = (signal?: AbortSignal) => new Encoder({ manifest }, sessions, preprocess).encode(picture, signal);
  return { fed, encode };
}

describe('Encoder', () => {
  it('feeds every run its own image input', async () => {
    const { fed, encode } = encoder();
    await encode();
    expect(fed).toEqual([
      ['sam', { pixels: uint8(2) }, { transfer: ['pixels'] }],
      ['clip', { pixel_values: float32([1], 1) }, { transfer: ['pixel_values'] }],
    ]);
  });

  it('gives what the other stages need and nothing else', async () => {
    expect(await encoder().encode()).toEqual({
      embeddings: outputs['sam']!['embeddings'],
      visual: outputs['clip']!['visual'],
    });
  });

  it.each([
    ['another shape', { sam: { embeddings: float32([1, 3], 1, 2, 3) } }, 'sam gave float32[1, 3] as "embeddings"'],
    ['another rank', { sam: { embeddings: float32([2], 1, 2) } }, 'sam gave float32[2] as "embeddings"'],
    ['nothing', { clip: { pooled: float32([1], 3) } }, 'clip gave nothing as "visual"'],
  ])('refuses %s than the manifest says', async (_, changed, message) => {
    await expect(encoder(changed).encode()).rejects.toMatchObject({ code: 'INTERNAL', cause: { message } });
  });

  it('runs no graph on a picture that nobody wants any more', async () => {
    const { fed, encode } = encoder();
    await expect(encode(AbortSignal.abort(new Error('too late')))).rejects.toThrow('too late');
    expect(fed).toEqual([]);
  });

  it('says which session is missing', async () => {
    await expect(encoder({}, ['sam']).encode()).rejects.toMatchObject({
      cause: { message: 'no session is open for the graph "clip"' },
    });
  });
});

it('names each graph once', () => {
  const twice = {
    ...manifest,
    encoder: { ...manifest.encoder, runs: [...manifest.encoder.runs, manifest.encoder.runs[0]!] },
  };
  expect(encoderGraphs(twice)).toEqual(['sam', 'clip']);
});
