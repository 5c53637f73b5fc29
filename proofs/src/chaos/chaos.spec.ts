import { beforeAll, describe, expect, it } from 'vitest';
import { TINY_BUNDLE_DIR } from '@segue/testing';
import { FAULTS } from './faults.js';
import { plan } from './plan.js';
import { table, verdict } from './report.js';
import { runChaos, type ChaosReport } from './run-chaos.js';

describe('the plan', () => {
  it('is the same for the same seed, and another for another', () => {
    const [first, again, other] = [1, 1, 2].map((seed) => plan({ jobs: 500, seed, questions: 5 }));
    expect(again).toEqual(first);
    expect(other).not.toEqual(first);
    expect(new Set(first?.map(({ fault }) => fault)).size).toBe(Object.keys(FAULTS).length);
    expect(first?.flatMap(({ jobs }) => jobs).map(({ number }) => number)).toEqual(
      Array.from({ length: 500 }, (_, n) => n),
    );
  });
});

// The short form of npm run chaos: what is quickly over.
describe('in a short run of it', () => {
  let report: ChaosReport;
  beforeAll(async () => {
    report = await runChaos({
      jobs: 304, // 38 a fault
      seed: 12,
      bundleDir: TINY_BUNDLE_DIR,
      faults: [
        'kill an llm-worker',
        'Redis is killed',
        'the disk of Redis is full',
        'network of clients is cut',
        'SIGTERM to a gateway',
        'deadline storm',
        'a request that crashes workers',
        'Redis is full',
      ],
    });
  }, 600_000);

  it('no job is lost, answered twice or answered otherwise, whatever goes wrong', () => {
    expect(report.rounds.flatMap(({ wrong }) => wrong)).toEqual([]);
    expect(report.left).toEqual([]);
    expect(report.restarts).toBeGreaterThanOrEqual(2);
    expect(table(report)).toContain('| Redis is full | 1 | 38 |');
  });

  it("a worker's clock is five minutes ahead", ({ skip }) => {
    skip(!report.clockWasOff, 'not tried, for want of libfaketime (Debian: faketime)');
    expect(verdict(report)).toContain('One llm-worker’s clock was five minutes ahead.');
  });
});
