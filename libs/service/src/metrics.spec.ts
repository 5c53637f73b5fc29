import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';

const ROOT = fileURLToPath(new URL('../../..', import.meta.url));

it('a name of a metric is given once in all apps, so that a sum over them has one meaning', () => {
  const files = ['apps', 'libs'].flatMap((area) =>
    readdirSync(join(ROOT, area)).flatMap((project) => {
      const folder = join(ROOT, area, project, 'src');
      return readdirSync(folder, { recursive: true, encoding: 'utf8' })
        .filter((file) => file.endsWith('.ts') && !file.endsWith('.spec.ts'))
        .map((file) => join(folder, file));
    }),
  );
  const names = files.flatMap((file) =>
    [...readFileSync(file, 'utf8').matchAll(/name: '(segue_\w+)'/g)].map(([, name]) => name),
  );
  expect(names.length).toBeGreaterThan(15);
  expect(names.filter((name, i) => names.indexOf(name) !== i)).toEqual([]);
});
