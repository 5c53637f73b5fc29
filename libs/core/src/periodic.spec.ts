import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { startPeriodic, type PeriodicOptions } from './periodic.js';

const failOn = (error: unknown): never => {
  throw error;
};

async function running(options: Partial<PeriodicOptions>, during: () => Promise<void>): Promise<void> {
  const periodic = startPeriodic({ everyMs: 1, run: async () => undefined, onError: failOn, ...options });
  try {
    await during();
  } finally {
    await periodic.stop();
  }
}

describe('startPeriodic', () => {
  it('repeats until it is stopped', async () => {
    let runs = 0;
    const run = async () => void runs++;
    await running({ run }, () => expect.poll(() => runs).toBeGreaterThan(2));
    const last = runs;
    await sleep(20);
    expect(runs).toBe(last);
  });

  it('makes one run at a time', async () => {
    let [open, most, runs] = [0, 0, 0];
    const run = async () => {
      most = Math.max(most, ++open);
      await sleep(10);
      open--;
      runs++;
    };
    await running({ run }, () => expect.poll(() => runs).toBeGreaterThan(2));
    expect(most).toBe(1);
  });

  it('tells of a failed run and goes on', async () => {
    const told: unknown[] = [];
    const failure = new Error('not now');
    const run = () => Promise.reject(failure);
    await running({ run, onError: (error) => told.push(error) }, () =>
      expect.poll(() => told).toEqual(expect.arrayContaining([failure, failure])),
    );
  });

  it('waits for the run in hand, and for no pause', async () => {
    let [begun, ended] = [false, false];
    const run = async () => {
      begun = true;
      await sleep(30);
      ended = true;
    };
    const periodic = startPeriodic({ everyMs: 1, run, onError: failOn });
    await expect.poll(() => begun).toBe(true);
    await periodic.stop();
    expect(ended).toBe(true);

    const beganAt = performance.now();
    await startPeriodic({ everyMs: 60_000, run, onError: failOn }).stop();
    expect(performance.now() - beganAt).toBeLessThan(10_000);
  });
});
