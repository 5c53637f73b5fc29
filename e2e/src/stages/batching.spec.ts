import { readFileSync } from 'node:fs';
import { afterEach, describe, expect, it } from 'vitest';
import type { Mode } from '@segue/core';
import { DEFAULT_PICTURE_LIMITS, decodePicture } from '@segue/imaging';
import type { LanguageModelOptions } from '@segue/llm';
import type { Tensor } from '@segue/tensors';
import { TINY_BUNDLE_DIR } from '@segue/testing';
import { openStages, type OpenStages } from './open-stages.js';

interface Asked {
  readonly picture: 'wide' | 'tall';
  readonly question: string;
  readonly mode: Mode;
}

/** Questions of different lengths on two pictures, some in the fast mode. */
const QUESTIONS: Asked[] = [
  'What is here?',
  'Where is the cat?',
  'Segment the red ball and the tree.',
  'Dog?',
  'a',
].flatMap((question, index): Asked[] => [
  { picture: 'wide', question, mode: index === 3 ? 'mask_only' : 'answer' },
  { picture: 'tall', question: question.repeat(3), mode: 'answer' },
]);

const opened: OpenStages[] = [];
afterEach(() => Promise.all(opened.splice(0).map((stages) => stages.close())));

/** Opens a language model with both pictures encoded; `ask` gives everything that a row produced. */
async function start(options: Partial<LanguageModelOptions> = {}) {
  const stages = await openStages(TINY_BUNDLE_DIR, options);
  opened.push(stages);
  const visualTokens = async (name: string): Promise<Tensor> => {
    const bytes = readFileSync(stages.bundle.file(`golden/${name}.png`));
    const tensors = await stages.encoder.encode(await decodePicture(bytes, DEFAULT_PICTURE_LIMITS));
    return tensors[stages.bundle.manifest.encoder.visualTokens]!;
  };
  const pictures = { wide: await visualTokens('wide'), tall: await visualTokens('tall') };
  const ask = async ({ picture, question, mode }: Asked) => {
    const embeddings: number[][] = [];
    const pieces: string[] = [];
    const { prefixCached, ...answer } = await stages.languageModel.generate({
      ...{ imageId: picture, instruction: question, mode, history: [], maxTokens: 1000 },
      visualTokens: () => Promise.resolve(pictures[picture]),
      signal: new AbortController().signal,
      onText: ({ text }) => void pieces.push(text),
      onSegment: ({ embedding }) => void embeddings.push([...embedding]),
    });
    expect(pieces.join('')).toBe(answer.text);
    return { answer, embeddings, prefixCached };
  };
  const rows = (): number[] =>
    stages.runs.filter(({ isStep }) => isStep).map(({ feeds }) => feeds['input_ids']?.shape[0] ?? 0);
  return { ask, rows };
}

type Outcome = Awaited<ReturnType<Awaited<ReturnType<typeof start>>['ask']>>;

/** Bit by bit, probabilities and embeddings as well; whether the prefix was cached is another matter. */
function expectSame(found: Outcome, { answer, embeddings }: Outcome): void {
  expect(found).toEqual({ answer, embeddings, prefixCached: found.prefixCached });
}

describe('a row gives the same', () => {
  it('alone, in a batch, and joining a batch that runs', async () => {
    const single = await start({ maxBatch: 1, prefixCacheBytes: 0 });
    const wanted: Outcome[] = [];
    for (const question of QUESTIONS) wanted.push(await single.ask(question));
    expect(wanted.some(({ embeddings }) => embeddings.length > 1)).toBe(true);
    expect(Math.max(...single.rows())).toBe(1);

    const together = await start();
    const batched = await Promise.all(QUESTIONS.map((question) => together.ask(question)));
    batched.forEach((outcome, index) => {
      expectSame(outcome, wanted[index]!);
    });
    expect(Math.max(...together.rows())).toBeGreaterThan(4);

    // Room for three: the others wait, and join the batch that runs as rows of it end.
    const staggered = await start({ maxBatch: 3 });
    const late = await Promise.all(QUESTIONS.map((question) => staggered.ask(question)));
    late.forEach((outcome, index) => {
      expectSame(outcome, wanted[index]!);
    });
    expect(Math.max(...staggered.rows())).toBe(3);
  });

  it("with its picture's prefix cached or not", async () => {
    const { ask } = await start();
    for (const question of QUESTIONS.slice(0, 4)) await ask(question);
    const uncached = await start({ prefixCacheBytes: 0 });
    for (const question of QUESTIONS) {
      const [cached, fresh] = [await ask(question), await uncached.ask(question)];
      expect([cached.prefixCached, fresh.prefixCached]).toEqual([true, false]);
      expect({ ...cached, prefixCached: false }).toEqual(fresh);
    }
  });
});
