import { execFileSync, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { APPS } from '@segue/local-system';
import { variableName } from '@segue/service';
import { expect, it } from 'vitest';
import { defaults } from './app-settings.js';
import { ROOT } from './workspace.js';

it.each(['settings', 'metrics'])('docs/reference/%s.md is as the sources have it', (page) => {
  const { status, stderr } = spawnSync(process.execPath, [`tools/${page}.mjs`, '--check'], {
    cwd: ROOT,
    encoding: 'utf8',
  });
  expect(status, stderr).toBe(0);
});

/** How a program reads a variable: commander, Node, Python. Compose puts its own in. */
const READ = /(?:\.env\('|\benv\.|\benv\['|\benviron(?:\.get)?[[(]["'])(SEGUE_\w+)/g;
const PUT_IN = /\$\{(SEGUE_\w+)/g;
const NAME = /\bSEGUE_[A-Z0-9_]*[A-Z0-9]\b/g;

const read = (path: string) => readFileSync(join(ROOT, path), 'utf8');
const tracked = (...patterns: readonly string[]) =>
  execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard', ...patterns], { cwd: ROOT })
    .toString()
    .trim()
    .split('\n');
const SHOWN = tracked('README.md', 'docs', 'k8s', 'compose.yaml', 'Dockerfile', 'examples').filter(
  (path) => !/\.(jpg|png)$/.test(path),
);

it('the pages, the manifests and the examples name no setting that nobody reads', async () => {
  const settings = await Promise.all(APPS.map(async (app) => Object.keys(await defaults(app)).map(variableName)));
  const programs = tracked('libs/*.ts', 'examples/*.mjs', '*.py').filter((path) => !path.endsWith('.spec.ts'));
  const others = programs.flatMap((path) => [...read(path).matchAll(READ)].map((match) => match[1] ?? ''));
  const known = new Set([...settings.flat(), ...others]);
  const unknown = SHOWN.flatMap((path) => {
    const text = read(path);
    const own = new Set([...text.matchAll(PUT_IN)].map((match) => match[1] ?? ''));
    const names = [...new Set(text.match(NAME))];
    return names.filter((name) => !known.has(name) && !own.has(name)).map((name) => `${path}: ${name}`);
  });
  expect(SHOWN.length).toBeGreaterThan(50);
  expect(unknown).toEqual([]);
});
