import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { runIndependence } from './run-independence.js';

const ROOT = fileURLToPath(new URL('../../..', import.meta.url));

// The short form of npm run independence: in a batch, with two threads and from the cache at the same time. There are more questions than fit
// in a batch, so that rows leave and join while others are being written.
it('an answer of the shipped model is the same in company, with other threads, and from caches', async () => {
  const reports = await runIndependence({
    bundleDir: join(ROOT, 'models/segue-smol'),
    photos: join(ROOT, 'examples'),
    questions: 20,
    ways: ['all of it'],
  });
  for (const { way, words, masks, example } of reports)
    expect({ way, words, masks, example }).toEqual({ way, words: 0, masks: 0 });
  expect(reports).toHaveLength(1);
  for (const { mostRows } of reports) expect(mostRows).toBeGreaterThan(4);
  expect(Math.max(...reports.map(({ hits }) => hits))).toBeGreaterThan(4);
}, 600_000);
