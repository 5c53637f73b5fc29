import { PerformanceObserver } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { releaseMemory } from './release.js';

const MIB = 2 ** 20;

test('frees large data at once', () => {
  const data = new Float32Array(MIB);
  const before = process.memoryUsage().arrayBuffers;
  releaseMemory(data);
  expect(data.length).toBe(0);
  expect(before - process.memoryUsage().arrayBuffers).toBeGreaterThanOrEqual(4 * MIB);
});

test('leaves small data and views alone', () => {
  const small = new Uint8Array(100);
  const whole = new Uint8Array(MIB);
  const view = whole.subarray(10);
  for (const data of [small, view]) releaseMemory(data);
  expect([small.length, whole.length, view.length]).toEqual([100, MIB, MIB - 10]);
});

test('keeps the garbage collector from going over the heap', async () => {
  let collections = 0;
  const observer = new PerformanceObserver((list) => (collections += list.getEntries().length));
  observer.observe({ entryTypes: ['gc'] });
  const use = async (release: (data: Float32Array) => void): Promise<number> => {
    collections = 0;
    for (let i = 0; i < 60; i++) {
      const data = new Float32Array(MIB);
      await sleep(1);
      release(data);
    }
    await sleep(20);
    return collections;
  };
  expect(await use(() => undefined)).toBeGreaterThan(2 * (await use(releaseMemory)));
  observer.disconnect();
});
