import { expect, it } from 'vitest';
import { loadBundle } from '@segue/bundle';
import { TINY_BUNDLE_DIR, TINY_LISA_DIR } from './tiny-bundle.js';

it.each([TINY_BUNDLE_DIR, TINY_LISA_DIR])('finds %s whole and marked as untrained', async (dir) => {
  const { manifest } = await loadBundle(dir);
  expect(manifest.purpose).toBe('test-only');
});
