import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { maskIou, type RunLengthMask } from '@segue/core';
import { TINY_LISA_DIR } from '@segue/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { content } from './content.js';
import { System } from './system.js';

interface GoldenCase {
  readonly image: string;
  readonly question: string;
  readonly text: string;
  readonly segments: readonly { readonly phrase: string; readonly score: number; readonly mask: RunLengthMask }[];
  readonly tolerance: { readonly maskIou: number; readonly score: number };
}

const GOLDEN = JSON.parse(readFileSync(join(TINY_LISA_DIR, 'golden/cases.json'), 'utf8')) as GoldenCase[];
const pictureOf = ({ image }: GoldenCase): Uint8Array => readFileSync(join(TINY_LISA_DIR, image));
const SEVERAL = GOLDEN.find(({ segments }) => segments.length === 2)!;
const NONE = GOLDEN.find(({ segments, image }) => segments.length === 0 && image === SEVERAL.image)!;

let system: System;
beforeAll(async () => {
  system = await System.start({ bundleDir: TINY_LISA_DIR });
});
afterAll(() => system.stop());

describe('a bundle made from a LISA checkpoint, through all four apps', () => {
  it.each(GOLDEN)('answers what PyTorch computed: $image "$question"', async (golden) => {
    const answer = await system.client.segment({ image: pictureOf(golden), instruction: golden.question });
    expect(answer.text).toBe(golden.text);
    expect(answer.segments.map(({ phrase }) => phrase)).toEqual(golden.segments.map(({ phrase }) => phrase));
    expect(answer.text.split('<SEG>').length - 1).toBe(golden.segments.length);
    golden.segments.forEach((expected, index) => {
      const actual = answer.segments[index]!;
      expect(maskIou(actual.mask, expected.mask)).toBeGreaterThanOrEqual(golden.tolerance.maskIou);
      expect(Math.abs(actual.score - expected.score)).toBeLessThanOrEqual(golden.tolerance.score);
    });
  });

  it('lists the model and that its weights are random', async () => {
    const models = await system.client.models.list();
    expect(models).toEqual([expect.objectContaining({ name: 'tiny-lisa', isDefault: true, trained: false })]);
  });

  it('draws one mask in the fast mode', async () => {
    const answer = await system.client.segment({
      image: pictureOf(SEVERAL),
      instruction: 'the red ball',
      mode: 'mask_only',
    });
    expect(answer).toMatchObject({ text: '<SEG>', finishReason: 'mask_only', segments: [{ index: 0 }] });
  });

  it('takes an earlier answer with <SEG> and segments only what it writes itself', async () => {
    const history = [{ instruction: SEVERAL.question, answer: SEVERAL.text }];
    const answer = await system.client.segment({ image: pictureOf(SEVERAL), instruction: 'And the tree?', history });
    expect(answer.segments.length).toBe(answer.text.split('<SEG>').length - 1);
  });
});

describe('a second question on the same picture', () => {
  it('runs neither of the two encoders nor the prefill of the picture', async () => {
    const { default: sharp } = await import('sharp');
    // Other bytes, so that no test before has asked about it.
    const image = await sharp(pictureOf(SEVERAL)).flop().png().toBuffer();
    const first = await system.client.segment({ image, instruction: SEVERAL.question });
    expect(first.cache).toEqual({ image: false, prefix: false });
    const before = await work();
    const second = await system.client.segment({ imageId: first.imageId, instruction: SEVERAL.question });
    expect(second.cache).toEqual({ image: true, prefix: true });
    expect(content(second)).toEqual(content(first));
    const other = await system.client.segment({ imageId: first.imageId, instruction: NONE.question });
    expect(other.cache).toEqual({ image: true, prefix: true });
    const after = await work();
    expect(after.encoderRuns).toBe(before.encoderRuns);
    expect(after.picturePrefills).toBe(before.picturePrefills);
    expect(after.questionPrefills).toBe(before.questionPrefills + 2);
  });

  async function work() {
    const [encoder, llm] = [system.app('encoder-worker'), system.app('llm-worker')];
    return {
      encoderRuns: await encoder.metric('segue_inference_seconds_count'),
      picturePrefills: await llm.metric('segue_prefill_seconds_count', { part: 'picture' }),
      questionPrefills: await llm.metric('segue_prefill_seconds_count', { part: 'conversation' }),
    };
  }
});
