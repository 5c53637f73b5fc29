import { spawnSync } from 'node:child_process';
import { expect, it } from 'vitest';
import { ROOT } from './workspace.js';

it('docs/reference/settings.md names every setting that the apps read', () => {
  const { status, stderr } = spawnSync(process.execPath, ['tools/settings.mjs', '--check'], {
    cwd: ROOT,
    encoding: 'utf8',
  });
  expect(status, stderr).toBe(0);
});
