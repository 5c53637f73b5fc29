import { describe, expect, it } from 'vitest';
import type { Cell } from './measure.js';
import { perSecond, sideBySide, summarise } from './statistics.js';

const cell = (contestant: string, round: number, latencies: readonly number[], elapsedMs: number): Cell => ({
  scenario: 'some',
  contestant,
  round,
  elapsedMs,
  samples: latencies.map((latencyMs) => ({ latencyMs, words: 3 })),
  cpuSeconds: { worker: 1 },
  sentBytes: {},
});

describe('summaries', () => {
  it('takes percentiles over all rounds and throughput as the median of the rounds', () => {
    const cells = [cell('a', 0, [10, 20], 1000), cell('a', 1, [30, 40], 500), cell('a', 2, [50], 1000)];
    const [summary] = summarise(cells);
    expect(summary).toMatchObject({ answers: 5, errors: 0, p50: 30, perSecond: 2, perSecondRange: [1, 4] });
    expect(summary?.cpuSeconds['worker']).toBeCloseTo(3 / 5);
  });

  it('counts no latency and no throughput of a question that failed', () => {
    const failed = { latencyMs: 1, words: 0, error: 'refused' };
    const [summary] = summarise([{ ...cell('a', 0, [10], 1000), samples: [failed, { latencyMs: 10, words: 1 }] }]);
    expect(summary).toMatchObject({ answers: 1, errors: 1, p50: 10, perSecond: 1 });
  });

  it('compares two contestants round by round', () => {
    const cells = [cell('a', 0, [1, 1], 1000), cell('b', 0, [1], 1000), cell('a', 1, [1, 1, 1], 1000)];
    const ratio = sideBySide(cells, 'some', ['a', 'b'], (a, b) => perSecond(a) / perSecond(b));
    expect(ratio).toBe(2); // the second round has no b
    expect(sideBySide(cells, 'another', ['a', 'b'], () => 1)).toBeUndefined();
  });
});
