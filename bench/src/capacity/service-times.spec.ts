import { expect, it } from 'vitest';
import type { Cell } from '../measure.js';
import { coresOf, serviceTimesOf } from './service-times.js';

const cell = (contestant: string, samples: Cell['samples'], cpuSeconds: Cell['cpuSeconds'] = {}): Cell => ({
  scenario: 'one target, new pictures, 1 client',
  contestant,
  round: 0,
  elapsedMs: 1000,
  samples,
  cpuSeconds,
  sentBytes: {},
});
const stageMs = { encode: 50, generate: 120, decode: 80 };
const languageRuns = [
  { reading: 'pictures', rows: 1, ms: 100 },
  { reading: 'pictures', rows: 8, ms: 450 },
  { reading: 'step', rows: 1, ms: 20 },
  { reading: 'step', rows: 8, ms: 34 },
] as const;
const cells = [
  cell(
    'Segue HTTP',
    [
      { latencyMs: 270, words: 5, stageMs },
      { latencyMs: 290, words: 5, stageMs },
    ],
    { gateway: 0.02, redis: 0.01, 'encoder-worker': 0.2, 'llm-worker': 0.24, 'decoder-worker': 0.08 },
  ),
  cell('session.run', [
    { latencyMs: 200, words: 5, steps: 1 },
    { latencyMs: 200, words: 5, steps: 0 },
  ]),
];

it('reads from results what one question takes of each stage', () => {
  const times = serviceTimesOf({ cells, languageRuns });
  expect(times.mean.front).toBeCloseTo(0.03);
  expect(times.mean).toMatchObject({ encode: 0.05, generate: 0.12, decode: 0.08 });
  expect(times.variation.encode).toBeCloseTo(0);
  expect(times.cpuSeconds.front).toBeCloseTo(0.015);
  expect(coresOf(times, 'encode')).toBeCloseTo(2);
  // The answer that took a step has read for 100 of its 120 ms, as the graphs alone take 100 and 20.
  expect(times.jobs.map(([, , generate]) => generate)).toEqual([
    { read: expect.closeTo(0.1), steps: 1, step: expect.closeTo(0.02) },
    { read: 0.12, steps: 0, step: expect.closeTo(0.024) },
  ]);
  expect(times.growth).toEqual({ read: expect.closeTo(0.5), step: expect.closeTo(0.1) });
  expect(times.answerGrowth).toBeCloseTo(0.5 / 1.1 + 0.1 * (0.1 / 1.1));
});

it('takes batches to bring nothing where none were measured, and refuses results without times of stages', () => {
  expect(serviceTimesOf({ cells }).growth).toEqual({ read: 1, step: 1 });
  const old = [cell('Segue HTTP', [{ latencyMs: 270, words: 5 }])];
  expect(() => serviceTimesOf({ cells: old, languageRuns })).toThrow('Measure again');
});
