import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { DEFAULT_PICTURE_LIMITS, decodePicture, preprocess } from '@segue/imaging';
import type { Tensor } from '@segue/tensors';
import { TINY_LISA_DIR } from '@segue/testing';
import { openStages, promptIds, type OpenStages } from './open-stages.js';
import { readSafetensors } from './safetensors.js';

interface GoldenCase {
  readonly image: string;
  readonly question: string;
  readonly text: string;
  readonly tokenIds: readonly number[];
  readonly segments: readonly { readonly embedding: readonly number[] }[];
}

const CASES = JSON.parse(readFileSync(join(TINY_LISA_DIR, 'golden/cases.json'), 'utf8')) as GoldenCase[];

let stages: OpenStages;
beforeAll(async () => {
  stages = await openStages(TINY_LISA_DIR);
});
afterAll(() => stages.close());

const picture = (image: string) => decodePicture(readFileSync(join(TINY_LISA_DIR, image)), DEFAULT_PICTURE_LIMITS);

/** Asks the language model alone, with the picture encoded here. */
async function ask(
  { languageModel, encoder, bundle }: OpenStages,
  image: string,
  instruction: string,
  mode: 'answer' | 'mask_only' = 'answer',
) {
  const embeddings: Float32Array[] = [];
  let encoded = 0;
  const answer = await languageModel.generate({
    ...{ imageId: image, instruction, mode, history: [], maxTokens: 1000, signal: new AbortController().signal },
    visualTokens: async (): Promise<Tensor> => {
      encoded++;
      const tensors = await encoder.encode(await picture(image));
      return tensors[bundle.manifest.encoder.visualTokens]!;
    },
    onSegment: ({ embedding }) => void embeddings.push(embedding),
  });
  return { answer, embeddings, encoded };
}

describe('the image inputs', () => {
  it.each(['wide', 'tall'])('of %s are those of PIL and PyTorch', async (name) => {
    const stored = readSafetensors(join(TINY_LISA_DIR, `golden/${name}.safetensors`));
    const specs = Object.entries(stages.bundle.manifest.images);
    expect(specs.map(([input]) => input)).toEqual(['main', 'clip']);
    for (const [input, spec] of specs) {
      const { tensor } = await preprocess(await picture(`golden/${name}.png`), spec);
      const golden = stored.get(input)!;
      expect(tensor.shape).toEqual(golden.shape);
      // Compared as pixel values of 0..1, whatever the input's scale.
      const plane = tensor.data.length / 3;
      const largest = tensor.data.reduce((most, value, index) => {
        const difference = Math.abs(value - golden.data[index]!) * spec.std[Math.floor(index / plane)]!;
        return Math.max(most, difference / (spec.rescale * 255));
      }, 0);
      expect(largest).toBeLessThanOrEqual(1 / 255);
      expect(largest).toBeLessThan(1e-6); // the filters are PIL's to the bit
    }
  });
});

describe('the embeddings at <SEG>', () => {
  it('are there in none, one and several', () => {
    expect(new Set(CASES.map(({ segments }) => Math.min(segments.length, 3)))).toEqual(new Set([0, 1, 2, 3]));
  });

  it.each(CASES)('of $image "$question" are those of PyTorch', async ({ image, question, text, segments }) => {
    const { answer, embeddings } = await ask(stages, image, question);
    expect(answer.text).toBe(text);
    expect(embeddings.length).toBe(segments.length);
    embeddings.forEach((embedding, index) => {
      expect(cosine(embedding, segments[index]!.embedding)).toBeGreaterThanOrEqual(0.999);
    });
  });
});

describe('decoding', () => {
  it('gives the same from a cached picture as from the whole prompt', async () => {
    const uncached = await openStages(TINY_LISA_DIR, { prefixCacheBytes: 0 });
    try {
      for (const { image, question } of CASES) {
        const [warm, cold] = [await ask(stages, image, question), await ask(uncached, image, question)];
        expect([warm.answer.prefixCached, warm.encoded]).toEqual([true, 0]);
        expect([cold.answer.prefixCached, cold.encoded]).toEqual([false, 1]);
        expect({ ...warm.answer, prefixCached: false }).toEqual(cold.answer);
        expect(warm.embeddings).toEqual(cold.embeddings);
      }
    } finally {
      await uncached.close();
    }
  });

  it('gives one <SEG> for the whole question in the fast mode, without a decode step', async () => {
    stages.runs.length = 0;
    const { answer, embeddings } = await ask(stages, 'golden/wide.png', 'the red ball', 'mask_only');
    expect(answer.text).toBe('<SEG>');
    expect(embeddings.length).toBe(1);
    expect(stages.runs.some(({ isStep }) => isStep)).toBe(false);
  });
});

describe('the prompt', () => {
  it('begins with one begin token and holds one placeholder for each of the 16 visual tokens', async () => {
    const { ids } = stages.bundle.manifest.language;
    stages.runs.length = 0;
    const fresh = await openStages(TINY_LISA_DIR);
    try {
      await ask(fresh, 'golden/tall.png', 'What is here?');
      const fed = promptIds(fresh.runs);
      expect(fed.indexOf(ids.bos!)).toBe(0);
      expect(fed.lastIndexOf(ids.bos!)).toBe(0);
      expect(fed.filter((id) => id === ids.image).length).toBe(16);
    } finally {
      await fresh.close();
    }
  });

  it.each(['<SEG>', '[SEG]', '<image>', '</s>', '<im_end>', '<im_start>', '<<SEG>SEG>'])(
    'takes %s from a person as text',
    async (typed) => {
      const { ids } = stages.bundle.manifest.language;
      const control = new Set([ids.seg, ids.image, ids.bos, ...ids.end]);
      stages.runs.length = 0;
      await ask(stages, 'golden/tall.png', `the ${typed} ball`);
      const tail = promptIds(stages.runs);
      expect(tail.length).toBeGreaterThan(3);
      expect(tail.filter((id) => control.has(id) && id !== ids.image && id !== ids.bos)).toEqual([]);
    },
  );
});

function cosine(a: Float32Array, b: readonly number[]): number {
  const dot = (x: ArrayLike<number>, y: ArrayLike<number>): number =>
    Array.from(x).reduce((sum, value, index) => sum + value * y[index]!, 0);
  return dot(a, b) / Math.sqrt(dot(a, a) * dot(b, b));
}
