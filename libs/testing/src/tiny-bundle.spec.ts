import { expect, it } from 'vitest';
import { loadBundle } from '@segue/bundle';
import { TINY_BUNDLE_DIR } from './tiny-bundle.js';

it('finds the tiny bundle whole and marked as untrained', async () => {
  const { manifest } = await loadBundle(TINY_BUNDLE_DIR);
  expect(manifest.purpose).toBe('test-only');
});
