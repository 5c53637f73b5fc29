import { expect, it } from 'vitest';
import { watchRun } from './run-watch.js';

/**
 * When the watch says that the limit is passed, in ticks of 25 ms.
 * @param waits what each of `threads` waits for a processor in the ticks, in milliseconds; nothing after them.
 */
async function ticksUntilOver(waits: readonly number[], { threads = 1, limitMs = 100 } = {}): Promise<number> {
  let ticks = 0;
  let waitedMs = 0;
  return new Promise((resolve) => {
    watchRun({
      limitMs,
      tickMs: 25,
      runDelaysMs() {
        waitedMs += waits[ticks++] ?? 0;
        return new Map(Array.from({ length: threads }, (_, thread) => [String(thread), waitedMs]));
      },
      onOver: () => resolve(ticks),
    });
  });
}

it('ends a run that could run and did not end', async () => {
  expect(await ticksUntilOver([])).toBeLessThanOrEqual(5);
});

it('does not blame a run for a machine that had no time for it', async () => {
  // For forty ticks, threads wait for all the time that passes and more.
  expect(await ticksUntilOver(new Array<number>(40).fill(1_000))).toBeGreaterThan(40);
});

it('ends a run that goes on while several threads wait for a part of the time', async () => {
  expect(await ticksUntilOver(new Array<number>(40).fill(10), { threads: 4 })).toBeLessThan(40);
});

it('counts a freeze of the process as no more than two ticks', async () => {
  let over = false;
  const stop = watchRun({ limitMs: 400, tickMs: 25, onOver: () => (over = true) });
  const until = performance.now() + 600;
  while (performance.now() < until); // nothing of this process' loop runs meanwhile
  await new Promise((resolve) => setTimeout(resolve, 60));
  stop();
  expect(over).toBe(false);
});

it('stops when it is told to', async () => {
  let over = false;
  watchRun({ limitMs: 50, tickMs: 10, onOver: () => (over = true) })();
  await new Promise((resolve) => setTimeout(resolve, 150));
  expect(over).toBe(false);
});
