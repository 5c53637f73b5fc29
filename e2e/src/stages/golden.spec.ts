import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { locateBundles } from '@segue/bundle';
import { maskIou, type Mode, type RunLengthMask } from '@segue/core';
import { DEFAULT_PICTURE_LIMITS, decodePicture } from '@segue/imaging';
import { TINY_BUNDLE_DIR } from '@segue/testing';
import { openStages, promptIds, type OpenStages } from './open-stages.js';

/** A question whose answer the PyTorch model gave when the bundle was exported. */
interface GoldenCase {
  readonly image: string;
  readonly question: string;
  readonly mode: Mode;
  readonly promptIds: readonly number[];
  readonly text: string;
  readonly tokenIds: readonly number[];
  readonly segments: readonly { readonly phrase: string; readonly score: number; readonly mask: RunLengthMask }[];
  readonly tolerance: { readonly maskIou: number; readonly score: number };
}

function casesOf(dir: string): GoldenCase[] {
  return JSON.parse(readFileSync(join(dir, 'golden/cases.json'), 'utf8')) as GoldenCase[];
}

describe.each(await locateBundles(dirname(TINY_BUNDLE_DIR)))('the stages of %s give the exported answers', (dir) => {
  let stages: OpenStages;
  beforeAll(async () => {
    stages = await openStages(dir);
  });
  afterAll(() => stages.close());

  it.each(casesOf(dir))('$image: $question', async (golden) => {
    const { bundle, pipeline, runs } = stages;
    const picture = await decodePicture(readFileSync(bundle.file(golden.image)), DEFAULT_PICTURE_LIMITS);
    runs.length = 0;
    const answer = await pipeline.segment(picture, {
      // A picture of its own each time, so that the whole prompt is fed.
      imageId: `${golden.image} ${golden.question}`,
      instruction: golden.question,
      history: [],
      mode: golden.mode,
      maxTokens: 1000,
    });
    expect(promptIds(runs)).toEqual(golden.promptIds);
    expect(answer.text).toBe(golden.text);
    expect(answer.segments.map(({ phrase }) => phrase)).toEqual(golden.segments.map(({ phrase }) => phrase));
    golden.segments.forEach(({ mask, score }, index) => {
      const segment = answer.segments[index]!;
      expect(maskIou(segment.mask, mask)).toBeGreaterThanOrEqual(golden.tolerance.maskIou);
      expect(Math.abs(segment.score - score)).toBeLessThanOrEqual(golden.tolerance.score);
    });
  });
});

it('has cases without, with one and with several segments in the tiny bundle', () => {
  const counts = casesOf(TINY_BUNDLE_DIR).map(({ segments }) => Math.min(segments.length, 2));
  expect(new Set(counts).size).toBe(3);
});
