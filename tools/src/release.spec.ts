import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { ROOT } from './workspace.js';

const NOTES = '# Changelog\n\n## 1.2.0 (2026-12-01)\n\n- Faster.\n\n## 1.1.0 (2026-11-01)\n\n- New.\n';

/** A repository with the script and what it reads. */
let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'segue-release-'));
  mkdirSync(join(folder, 'tools'));
  cpSync(join(ROOT, 'tools/release.mjs'), join(folder, 'tools/release.mjs'));
  git('init', '--quiet', '--initial-branch=main');
  git('config', 'user.name', 'Tester');
  git('config', 'user.email', 'tester@example.org');
  write('package.json', '{\n  "version": "1.2.0"\n}\n');
  write('compose.yaml', 'image: segue/gateway:${SEGUE_VERSION:-1.2.0}\n');
  write('CHANGELOG.md', NOTES);
  commit();
});
afterEach(() => rmSync(folder, { recursive: true }));

const git = (...args: readonly string[]): string => {
  const { status, stdout, stderr } = spawnSync('git', args, { cwd: folder, encoding: 'utf8' });
  if (status !== 0) throw new Error(stderr);
  return stdout.trim();
};
const write = (file: string, text: string) => writeFileSync(join(folder, file), text);
const commit = () => git('add', '.') + git('commit', '--quiet', '--message', 'A state');
const release = () => spawnSync(process.execPath, [join(folder, 'tools/release.mjs')], { encoding: 'utf8' });

it('tags the state with what users notice, once', () => {
  expect(release()).toMatchObject({ status: 0, stdout: expect.stringContaining('git push origin v1.2.0') });
  expect(git('tag', '--list', '--format=%(contents)', 'v1.2.0')).toBe('Segue 1.2.0\n\n- Faster.');
  expect(git('rev-parse', 'v1.2.0^{commit}')).toBe(git('rev-parse', 'HEAD'));
  expect(release()).toMatchObject({ status: 1, stderr: expect.stringContaining('v1.2.0 exists') });
});

it.each<[string, () => void, string]>([
  ['what is not committed', () => write('package.json', '{\n  "version": "1.3.0"\n}\n'), 'Commit everything'],
  ['another branch', () => git('switch', '--quiet', '--create', 'other'), 'from main'],
  ['no notes', () => write('CHANGELOG.md', '# Changelog\n\n## 1.2.0 (unreleased)\n') ?? commit(), 'with a date'],
  ['a part of another version', () => write('compose.yaml', '${SEGUE_VERSION:-1.1.0}\n') ?? commit(), 'compose.yaml.'],
])('makes no release of %s', (_what, change, sentence) => {
  change();
  expect(release()).toMatchObject({ status: 1, stderr: expect.stringContaining(sentence) });
  expect(git('tag')).toBe('');
});
