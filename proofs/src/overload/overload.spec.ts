import { expect, it } from 'vitest';
import { TINY_BUNDLE_DIR } from '@segue/testing';
import { runOverload } from './run-overload.js';

// The short form of npm run overload. How quick answers and refusals are is a matter of the machine, and told there.
it('who cannot be answered in time is refused, and the service is back at once', async () => {
  const { rates, streams } = await runOverload({
    bundleDir: TINY_BUNDLE_DIR,
    seconds: 2,
    rates: [0.5, 5],
    streams: 50,
    maxWait: 300,
  });
  for (const { rate, answered, refused, sent, failed, recoveredMs } of rates) {
    expect({ rate, failed }).toEqual({ rate, failed: {} });
    expect(answered).toBeGreaterThan(0);
    expect(answered + refused).toBe(sent);
    // Seconds where nothing else runs; a single request is waited for that is as quick as in calm.
    expect(recoveredMs).toBeLessThan(20_000);
  }
  const [below, above] = rates.map(({ refused, sent }) => refused / sent);
  expect(above).toBeGreaterThan(0.4); // without the bound on waits it is half of that
  expect(above).toBeGreaterThan(below ?? 1);
  expect(streams).toMatchObject({ streams: 50, unread: 5, told: 45, broken: 0 });
}, 300_000);
