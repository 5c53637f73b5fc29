import { readFileSync } from 'node:fs';
import { assert, anything, jsonValue, property, string } from 'fast-check';
import { expect, it } from 'vitest';
import { ManifestSchema } from './manifest.js';

const MANIFEST = new URL('../../../models/tiny-random/manifest.json', import.meta.url);

it('anything that is no manifest is refused, and never by a crash', () => {
  assert(
    property(anything(), (value) => {
      expect(ManifestSchema.safeParse(value).success).toBe(false);
    }),
  );
});

it('a manifest in which a part is something else is refused or read, and never by a crash', () => {
  const manifest = JSON.parse(readFileSync(MANIFEST, 'utf8')) as Record<string, unknown>;
  expect(ManifestSchema.safeParse(manifest).success).toBe(true);
  for (const part of Object.keys(manifest)) {
    assert(
      property(
        jsonValue(),
        (value) => typeof ManifestSchema.safeParse({ ...manifest, [part]: value }).success === 'boolean',
      ),
      { numRuns: 30 },
    );
  }
});

it('no file of a manifest leads out of its folder', () => {
  const text = readFileSync(MANIFEST, 'utf8');
  assert(
    property(string(), (name) => {
      const moved = JSON.parse(text) as { graphs: { encoder: { file: string } } };
      moved.graphs.encoder.file = `../${name}`;
      expect(ManifestSchema.safeParse(moved).success).toBe(false);
      moved.graphs.encoder.file = `/${name}`;
      expect(ManifestSchema.safeParse(moved).success).toBe(false);
    }),
  );
});
