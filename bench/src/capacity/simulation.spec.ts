import { mean } from 'd3-array';
import { randomExponential, randomLcg } from 'd3-random';
import { describe, expect, it } from 'vitest';
import { batchSeconds, coldStart, secondsInBatches, waitingSeconds } from './formulas.js';
import { simulate, type Job, type Station, type System } from './simulation.js';

const COUNT = 200_000;

/** Exponential gaps between arrivals, at so many a second. */
function poisson(perSecond: number, count = COUNT): number[] {
  const gap = randomExponential.source(randomLcg(0.3))(perSecond);
  let at = 0;
  return Array.from({ length: count }, () => (at += gap()));
}

function jobs(seconds: () => number, count = COUNT): Job[] {
  return Array.from({ length: count }, () => [{ read: seconds() }]);
}

/** Service times with mean 1 s. */
const exponential = () => jobs(randomExponential.source(randomLcg(0.7))(1));
const constant = (count?: number) => jobs(() => 1, count);

function meanLatency(system: System, all: readonly Job[], perSecond: number): number {
  const { latencies } = simulate(system, all, { arrivals: poisson(perSecond, all.length) });
  expect(latencies).toHaveLength(all.length);
  return mean(latencies) ?? NaN;
}

const one = (station: Station, cores?: number): System => ({ stations: [station], ...(cores && { cores }) });

/** Mean wait of M/M/c for services of 1 s (Erlang C). */
function erlangC(offered: number, servers: number): number {
  let blocked = 1;
  for (let server = 1; server <= servers; server++) blocked = (offered * blocked) / (server + offered * blocked);
  const delayed = blocked / (1 - (offered / servers) * (1 - blocked));
  return delayed / (servers - offered);
}

/** How far one value is from another, in per cent. */
function percentOff(found: number, expected: number): number {
  return Math.abs(found / expected - 1) * 100;
}

describe('the simulation against exact formulas', () => {
  it.each([0.5, 0.8])('M/M/1 at %d busy: 1 / (1 - busy)', (busy) => {
    expect(percentOff(meanLatency(one({ replicas: 1 }), exponential(), busy), 1 / (1 - busy))).toBeLessThan(4);
  });

  it.each([0.5, 0.8])('M/D/1 at %d busy: Pollaczek-Khinchine', (busy) => {
    const waiting = waitingSeconds({ perSecond: busy, seconds: 1, variation: 0, replicas: 1 });
    expect(waiting).toBeCloseTo(busy / (2 * (1 - busy)));
    expect(percentOff(meanLatency(one({ replicas: 1 }), constant(), busy) - 1, waiting)).toBeLessThan(4);
  });

  it.each([
    [2, 1.4],
    [4, 3.2],
    [8, 7.2],
  ])('M/M/%d with %d of them busy: Erlang C', (replicas, offered) => {
    expect(
      percentOff(meanLatency(one({ replicas }), exponential(), offered) - 1, erlangC(offered, replicas)),
    ).toBeLessThan(6);
  });

  it('one core shared by many runs: 1 / (1 - busy), whatever the service times (M/G/1 processor sharing)', () => {
    expect(percentOff(meanLatency(one({ replicas: 64 }, 1), constant(), 0.7), 1 / 0.3)).toBeLessThan(4);
    expect(percentOff(meanLatency(one({ replicas: 64 }, 1), exponential(), 0.7), 1 / 0.3)).toBeLessThan(4);
  });

  it('runs that want two cores each have one core between them', () => {
    expect(percentOff(meanLatency(one({ replicas: 64, cores: 2 }, 1), constant(), 0.35), 2 / 0.3)).toBeLessThan(4);
  });
});

describe('the formulas against the simulation', () => {
  it.each([1, 2, 4])('waiting of M/M/%d is near, as Sakasegawa says it', (replicas) => {
    const formula = waitingSeconds({ perSecond: 0.8 * replicas, seconds: 1, variation: 1, replicas });
    expect(percentOff(formula, erlangC(0.8 * replicas, replicas))).toBeLessThan(5);
  });

  it.each([0.3, 0.8, 1.6])('the bound for batches holds and is near at %d a second', (perSecond) => {
    const growth = 0.25;
    const bound = secondsInBatches({ perSecond, replicas: 1 }, { seconds: 1, growth });
    const station = { replicas: 1, maxBatch: 1000, growth: { read: growth, step: 0 } };
    const found = meanLatency(one(station), constant(), perSecond);
    expect(found).toBeLessThan(bound * 1.01);
    expect(percentOff(found, bound)).toBeLessThan(12);
  });

  it('questions that waited for a cold start have caught up when the fluid limit says so', () => {
    // The first job is the cold start: the only replica is busy with it for 100 s, and does two a second from then on.
    const all: Job[] = [[{ read: 100 }], ...jobs(() => 0.5, 400)];
    const arrivals = [0, ...Array.from({ length: 400 }, (_, index) => index)];
    const { latencies } = simulate(one({ replicas: 1 }), all, { arrivals });
    const { waiting, caughtUpSeconds } = coldStart(1, 100, 2);
    expect([waiting, caughtUpSeconds]).toEqual([100, 100]);
    const caughtUp = latencies.findIndex((latency, index) => index > 0 && latency < 1);
    expect(percentOff(caughtUp, 200)).toBeLessThan(2);
  });
});

describe('the simulated scheduler', () => {
  const station = { replicas: 1, maxBatch: 2, growth: { read: 0.5, step: 0.1 } };
  const answer: Job = [{ read: 1, step: 0.1, steps: 2 }];

  it('lets a newcomer in between two steps, and no more rows than fit', () => {
    // a: read 0..1, a step 1..1.1; b came at 1.05: read 1.1..2.1; both step at 0.11; then b alone.
    // c waits until a is complete at 2.21: read until 3.21, and steps with b.
    const { latencies } = simulate(one(station), [answer, answer, answer], { arrivals: [0, 1.05, 1.06] });
    expect(latencies[0]).toBeCloseTo(2.21);
    expect(latencies[1]).toBeCloseTo(3.32 - 1.05);
    expect(latencies[2]).toBeCloseTo(3.42 - 1.06);
    expect(batchSeconds({ seconds: 0.1, growth: 0.1 }, 2)).toBeCloseTo(0.11);
  });

  it('decodes the masks of an answer side by side, and goes on with it behind the last one', () => {
    const masks: Job = [{ read: 1 }, { read: 0.5, parts: 3 }, { read: 1 }];
    const stations = [{ replicas: 1 }, { replicas: 2 }, { replicas: 1 }];
    const { latencies } = simulate({ stations }, [masks], { arrivals: [0] });
    expect(latencies).toEqual([3]);
  });

  it('has as many questions under way as there are clients', () => {
    const { elapsed, latencies } = simulate(one({ replicas: 4 }), constant(10), { clients: 2 });
    expect(elapsed).toBe(5);
    expect(latencies).toEqual(new Array(10).fill(1));
  });
});
