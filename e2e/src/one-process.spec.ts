import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { DEFAULT_PICTURE_LIMITS, decodePicture } from '@segue/imaging';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openStages, type OpenStages } from './stages/open-stages.js';
import { System } from './system.js';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const BUNDLE = join(ROOT, 'models/segue-smol');

/** Questions about the example photos; the last asks for two things at once. */
const QUESTIONS = [
  ['coffee.jpg', 'Where could I pour a drink?'],
  ['cat.jpg', 'Can you segment the cat in this image?'],
  ['astronaut.jpg', 'Who could fly to space?'],
  ['coffee.jpg', 'Segment the cup and the spoon.'],
] as const;

describe('the trained model', () => {
  let system: System;
  let stages: OpenStages;
  beforeAll(async () => {
    [system, stages] = await Promise.all([System.start({ bundleDir: BUNDLE }), openStages(BUNDLE)]);
  }, 180_000);
  afterAll(async () => {
    await Promise.all([system.stop(), stages.close()]);
  });

  it.each(QUESTIONS)(
    'answers through four apps as in one process: %s "%s"',
    { timeout: 60_000 },
    async (photo, instruction) => {
      const image = readFileSync(join(ROOT, 'examples', photo));
      const apart = await system.client.segment({ image, instruction });
      const together = await stages.pipeline.segment(await decodePicture(image, DEFAULT_PICTURE_LIMITS), {
        imageId: photo,
        instruction,
        history: [],
        mode: 'answer',
        maxTokens: stages.bundle.manifest.language.limits.maxNewTokens,
      });
      expect(apart.text).toBe(together.text);
      expect(apart.finishReason).toBe(together.finishReason);
      expect(apart.segments.map(({ mask, phrase, span }) => ({ mask, phrase, span }))).toEqual(
        together.segments.map(({ mask, phrase, span }) => ({ mask, phrase, span })),
      );
    },
  );

  it('draws a mask for each kind of thing when it is asked for everything', { timeout: 60_000 }, async () => {
    const image = readFileSync(join(ROOT, 'examples/coffee.jpg'));
    const { segments } = await system.client.segment({ image, instruction: 'Segment everything.' });
    expect(segments.length).toBeGreaterThanOrEqual(2);
    expect(new Set(segments.map(({ phrase }) => phrase)).size).toBe(segments.length);
    for (const { area } of segments) expect(area).toBeGreaterThan(0);
  });

  it.each(['Wo ist die Tasse?', 'Où est la tasse ?'])(
    'answers another language by saying what it reads: %s',
    { timeout: 60_000 },
    async (instruction) => {
      const image = readFileSync(join(ROOT, 'examples/coffee.jpg'));
      const { text, segments } = await system.client.segment({ image, instruction });
      expect(text).toMatch(/English/);
      expect(segments).toEqual([]);
    },
  );

  // Whether the mask is there before the last words is a matter of speed: see the benchmark.
  it('begins a mask while the words are still being written', { timeout: 60_000 }, async () => {
    const image = readFileSync(join(ROOT, 'examples/coffee.jpg'));
    const order: string[] = [];
    for await (const event of system.client.stream({ image, instruction: 'What could I drink from? Explain why.' }))
      order.push(event.type === 'stage' ? `${event.stage} ${event.done ? 'ends' : 'begins'}` : event.type);
    expect(order).toContain('decode begins');
    expect(order.indexOf('decode begins')).toBeLessThan(order.lastIndexOf('text'));
  });
});
