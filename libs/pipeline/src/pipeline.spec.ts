import { setImmediate } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import type { Bundle } from '@segue/bundle';
import { SegueError, encodeMask, type JobEventBody } from '@segue/core';
import type { DecodedMask } from '@segue/decoder';
import type { GenerateRequest } from '@segue/llm';
import { Pipeline, type PipelineModels, type PipelineRequest } from './pipeline.js';

const picture = { width: 4, height: 2, data: new Uint8Array(24) };
const tokens = { dtype: 'float32' as const, shape: [1, 1, 1], data: Float32Array.of(1) };
const request: PipelineRequest = { imageId: 'p', instruction: 'what?', history: [], mode: 'answer', maxTokens: 9 };
const mask: DecodedMask = { mask: encodeMask(new Uint8Array(8).fill(1), 2, 4), box: [0, 0, 4, 2], area: 8, score: 0.5 };
const embedding = Float32Array.of(3);

/** Stages that answer "a <SEG> b <SEG>". */
function stages(changed: Partial<PipelineModels> = {}): PipelineModels {
  const segments = [0, 1].map((index) => ({
    index,
    phrase: 'ab'.charAt(index),
    span: [8 * index, 8 * index + 1] as const,
    logprob: -1,
  }));
  return {
    encoder: { encode: () => Promise.resolve({ visual: tokens, b2: tokens }) },
    languageModel: {
      async generate({ visualTokens, onText, onSegment }: GenerateRequest) {
        expect(await visualTokens()).toBe(tokens);
        for (const [offset, segment] of [0, 7].map((at, index) => [at, segments[index]!] as const)) {
          await onText?.({ offset, text: offset === 0 ? 'a <SEG>' : ' b <SEG>' });
          await onSegment?.({ ...segment, embedding });
          await setImmediate();
        }
        const text = 'a <SEG> b <SEG>';
        return { text, segments, finishReason: 'stop', promptTokens: 3, tokens: 4, prefixCached: true };
      },
    },
    decoder: { decode: () => Promise.resolve([mask]) },
    ...changed,
  };
}

const bundle = {
  id: 'fake@1.0.0',
  digest: 'd',
  manifest: { name: 'fake', encoder: { visualTokens: 'visual', decoderTensors: ['b2'] } },
} as unknown as Bundle;

describe('Pipeline', () => {
  it('answers with masks and tells each event', async () => {
    const events: JobEventBody[] = [];
    const onEvent = (event: JobEventBody): void => void events.push(event);
    const answer = await new Pipeline(bundle, stages()).segment(picture, request, { onEvent, jobId: 'j' });
    const { timingsMs, ...rest } = answer;
    expect(rest).toEqual({
      jobId: 'j',
      text: 'a <SEG> b <SEG>',
      segments: [
        { index: 0, phrase: 'a', span: [0, 1], ...mask },
        { index: 1, phrase: 'b', span: [8, 9], ...mask },
      ],
      model: 'fake@1.0.0',
      finishReason: 'stop',
      cache: { image: false, prefix: true },
      imageId: 'p',
      usage: { promptTokens: 3, completionTokens: 4 },
    });
    expect(timingsMs.total).toBeGreaterThanOrEqual(timingsMs.generate);
    expect(events.filter(({ type }) => type !== 'segment')).toEqual([
      { type: 'accepted', imageId: 'p' },
      { type: 'stage', stage: 'encode', done: false, cached: false },
      { type: 'stage', stage: 'encode', done: true, cached: false },
      { type: 'stage', stage: 'generate', done: false, cached: false },
      { type: 'text', offset: 0, text: 'a <SEG>' },
      { type: 'text', offset: 7, text: ' b <SEG>' },
      { type: 'stage', stage: 'generate', done: true, cached: true },
      { type: 'completed', answer },
    ]);
    expect(events.filter(({ type }) => type === 'segment')).toEqual(
      answer.segments.map((segment) => ({ type: 'segment', segment })),
    );
  });

  it('decodes while the text is being written', async () => {
    const order: string[] = [];
    const { languageModel } = stages();
    await new Pipeline(
      bundle,
      stages({
        languageModel: {
          generate: async (asked) => {
            const generation = await languageModel.generate(asked);
            order.push('text written');
            return generation;
          },
        },
        decoder: {
          decode: ({ tensors, original, embeddings }) => {
            order.push('decoding');
            expect([Object.keys(tensors), original, embeddings]).toEqual([['visual', 'b2'], [2, 4], [embedding]]);
            return Promise.resolve([mask]);
          },
        },
      }),
    ).segment(picture, request);
    expect(order).toEqual(['decoding', 'decoding', 'text written']);
  });

  it('fails when one mask fails', async () => {
    const error = new SegueError('INTERNAL', 'no mask');
    const failing = stages({ decoder: { decode: () => Promise.reject(error) } });
    await expect(new Pipeline(bundle, failing).segment(picture, request)).rejects.toBe(error);
    const empty = stages({ decoder: { decode: () => Promise.resolve([]) } });
    await expect(new Pipeline(bundle, empty).segment(picture, request)).rejects.toMatchObject({ code: 'INTERNAL' });
  });

  it('refuses stages of different bundles', async () => {
    const mixed = new Pipeline(
      { ...bundle, manifest: { ...bundle.manifest, encoder: { ...bundle.manifest.encoder, visualTokens: 'other' } } },
      stages(),
    );
    await expect(mixed.segment(picture, request)).rejects.toThrow(/different bundles/);
  });

  it('fails when its listener fails', async () => {
    const onEvent = (): void => {
      throw new Error('deaf');
    };
    await expect(new Pipeline(bundle, stages()).segment(picture, request, { onEvent })).rejects.toThrow('deaf');
  });
});
