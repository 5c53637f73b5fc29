import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { execa } from 'execa';
import { expect, test } from 'vitest';

const CLUSTER = fileURLToPath(new URL('../../e2e/cluster', import.meta.url));

test('Vitest finds every spec of the cluster, though it does not run them here', async () => {
  const specs = (await readdir(CLUSTER)).filter((file) => file.endsWith('.spec.ts'));
  const found = await execa('vitest', ['list', '--filesOnly', '--json'], { cwd: CLUSTER, preferLocal: true });
  const files = (JSON.parse(found.stdout) as { readonly file: string }[]).map(({ file }) => file);
  expect(files.toSorted()).toEqual(specs.map((spec) => join(CLUSTER, spec)).toSorted());
});
