import { describe, expect, it } from 'vitest';
import { SingleFlight } from './single-flight.js';

describe('SingleFlight', () => {
  it('computes once for those who ask at the same time', async () => {
    const flights = new SingleFlight<string, number>();
    let computed = 0;
    const compute = async (): Promise<number> => {
      await Promise.resolve();
      return ++computed;
    };
    expect(
      await Promise.all([flights.run('a', compute), flights.run('a', compute), flights.run('b', compute)]),
    ).toEqual([1, 1, 2]);
  });

  it('computes again afterwards', async () => {
    const flights = new SingleFlight<string, number>();
    expect([
      await flights.run('a', () => Promise.resolve(1)),
      await flights.run('a', () => Promise.resolve(2)),
    ]).toEqual([1, 2]);
  });

  it('shares a failure and does not keep it', async () => {
    const flights = new SingleFlight<string, number>();
    const fail = (): Promise<number> => Promise.reject(new Error('no'));
    const results = await Promise.allSettled([flights.run('a', fail), flights.run('a', () => Promise.resolve(1))]);
    expect(results.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    expect(await flights.run('a', () => Promise.resolve(1))).toBe(1);
  });

  it('is given up when nobody wants it any more, and not before', async () => {
    const flights = new SingleFlight<string, number>();
    const [first, second] = [new AbortController(), new AbortController()];
    const signals: AbortSignal[] = [];
    const compute = (signal: AbortSignal): Promise<number> => {
      signals.push(signal);
      return new Promise((_resolve, reject) => {
        signal.addEventListener('abort', () => reject(signal.reason as Error));
      });
    };
    const waiting = Promise.allSettled([first, second].map(({ signal }) => flights.run('a', compute, signal)));
    first.abort(new Error('the first'));
    expect(signals.map(({ aborted }) => aborted)).toEqual([false]);
    second.abort(new Error('the second'));
    expect(signals.map(({ aborted }) => aborted)).toEqual([true]);
    // Who comes then is not given up with those who left.
    expect(await flights.run('a', () => Promise.resolve(1))).toBe(1);
    const reasons = (await waiting).map((result) => (result.status === 'rejected' ? String(result.reason) : 'done'));
    expect(reasons).toEqual(['Error: the second', 'Error: the second']);
  });
});
