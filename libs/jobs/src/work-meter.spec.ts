import { expect, it } from 'vitest';
import { WorkMeter } from './work-meter.js';

it('counts all tasks, and time and tasks of its own where half of the hands are full', () => {
  let now = 0;
  const meter = new WorkMeter(4, () => now);
  meter.begin();
  now = 1_000;
  meter.end({ done: true });
  expect(meter.take()).toEqual({ done: 1, busyMs: 0, busyDone: 0 });

  meter.begin();
  meter.begin();
  now = 3_000;
  meter.end({ done: true });
  meter.begin();
  now = 4_000.5;
  meter.end({ done: false });
  now = 9_000;
  meter.end({ done: true });
  expect(meter.take()).toEqual({ done: 2, busyMs: 3_000, busyDone: 1 });
  expect(meter.take()).toEqual({ done: 0, busyMs: 0, busyDone: 0 });
});
