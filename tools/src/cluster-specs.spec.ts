import { execFile } from 'node:child_process';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';

const VITEST = fileURLToPath(new URL('../../node_modules/vitest/vitest.mjs', import.meta.url));
const CLUSTER = fileURLToPath(new URL('../../e2e/cluster', import.meta.url));

test('Vitest finds every spec of the cluster, though it does not run them here', async () => {
  const specs = (await readdir(CLUSTER)).filter((file) => file.endsWith('.spec.ts'));
  const list = [VITEST, 'list', '--filesOnly', '--json'];
  const found = await promisify(execFile)(process.execPath, list, { cwd: CLUSTER });
  const files = (JSON.parse(found.stdout) as { readonly file: string }[]).map(({ file }) => file);
  expect(files.toSorted()).toEqual(specs.map((spec) => join(CLUSTER, spec)).toSorted());
});
