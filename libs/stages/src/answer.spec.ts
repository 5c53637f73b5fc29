import type { Segment } from '@segue/core';
import { expect, test } from 'vitest';
import { assembleAnswer, type AnswerParts } from './answer.js';
import { digestOf, tensorSetKey } from './tensor-set.js';

const segment = (index: number) => ({ index }) as Segment;

const parts: AnswerParts = {
  jobId: 'job',
  imageId: 'picture',
  generated: {
    text: 'The cup <SEG> and the spoon <SEG>.',
    segments: 2,
    finishReason: 'stop',
    model: 'smol@1',
    promptTokens: 40,
    tokens: 9,
    prefixCached: true,
  },
  segments: [segment(1), segment(0)],
  imageCached: false,
  timingsMs: { queue: 1, encode: 2, generate: 3, decode: 4, total: 10 },
};

test('an answer has its masks in the order of its words, and says what was cached and used', () => {
  expect(assembleAnswer(parts)).toEqual({
    jobId: 'job',
    imageId: 'picture',
    text: 'The cup <SEG> and the spoon <SEG>.',
    segments: [segment(0), segment(1)],
    model: 'smol@1',
    finishReason: 'stop',
    timingsMs: parts.timingsMs,
    cache: { image: false, prefix: true },
    usage: { promptTokens: 40, completionTokens: 9 },
  });
});

test.each([[[segment(0)]], [[0, 1, 2].map(segment)]])('an answer has a mask for each <SEG>, not %j', (segments) => {
  expect(() => assembleAnswer({ ...parts, segments })).toThrow(`job job has ${segments.length} segments`);
});

test('the key of tensors tells of which bundle they are', () => {
  const key = tensorSetKey({ digest: 'a1b2' }, 'f'.repeat(64));
  expect(digestOf({ key })).toBe('a1b2');
  expect(tensorSetKey({ digest: 'c3d4' }, 'f'.repeat(64))).not.toBe(key);
});
