import { execFile, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { freePort, missingModules } from '@segue/local-system';
import { chromiumPath } from './chromium.js';
import { System } from './system.js';

const run = promisify(execFile);
const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const PYTHON = process.env['PYTHON_CLIENT'] ?? process.env['PYTHON'] ?? 'python3';

interface Example {
  readonly command: string;
  /** What the page says that comes out. */
  readonly output: string;
}

/** Each command of the page that is followed by its output. */
const EXAMPLES = [
  ...readFileSync(join(ROOT, 'examples/README.md'), 'utf8').matchAll(/```sh\n([^`]+)```\n+```text\n([^`]+)```/g),
].map(([, command = '', output = '']): Example => ({ command: command.trim(), output: output.trim() }));

/** What an example needs that may not be here: Python modules that its file imports, or a program. */
function missing(command: string): string | undefined {
  const program = command.includes('grpcurl') ? 'grpcurl' : (command.split(/\s/)[0] ?? '');
  const script = /\S+\.py/.exec(command)?.[0];
  if (command.includes('other-origin') && !chromiumPath) return 'Chromium';
  if (script === undefined) {
    return spawnSync('which', [program], { cwd: ROOT }).status === 0 ? undefined : program;
  }
  const source = readFileSync(join(ROOT, script), 'utf8');
  const modules = [...source.matchAll(/^(?:import|from) (\w+)/gm)].map(([, name = '']) => name);
  return missingModules(PYTHON, modules) || undefined;
}

describe('examples/README.md', () => {
  let system: System;
  let pagePort: number;
  beforeAll(async () => {
    pagePort = await freePort();
    system = await System.start({
      bundleDir: join(ROOT, 'models/segue-smol'),
      env: {
        // As `npm start` does.
        SEGUE_API_DOCS: 'public',
        SEGUE_LIST_PUBLIC_JOBS: 'on',
        // As the page says.
        SEGUE_CORS_ORIGINS: `http://localhost:${pagePort}`,
      },
    });
  }, 180_000);
  afterAll(() => system.stop());

  it('shows something', () => expect(EXAMPLES.length).toBeGreaterThan(6));

  it.for(EXAMPLES)('does what it says: $command', { timeout: 120_000 }, async ({ command, output }, { skip }) => {
    const needs = missing(command);
    skip(needs !== undefined, `not tried, for want of ${needs}`);
    const here = command
      .replace(/^python3 /, `${PYTHON} `)
      .replace(/(other-origin\.mjs) 3000$/, `$1 ${pagePort}`)
      .replaceAll('http://localhost:8080', system.httpUrl)
      .replaceAll('localhost:50051', system.app('gateway').grpcAddress);
    const env = {
      ...process.env,
      SEGUE_URL: system.httpUrl,
      SEGUE_GRPC: system.app('gateway').grpcAddress,
      CHROMIUM: chromiumPath,
    };
    const { stdout } = await run('bash', ['-c', here], { cwd: ROOT, env });
    expectSame(stdout, output);
  });
});

/** Words must be the same; times may be any, and numbers a little different, as they are on another processor. */
function expectSame(found: string, shown: string): void {
  const parts = (text: string) =>
    text
      .trim()
      .replace(/\b[0-9a-f]{32}\b/g, 'ID')
      .replace(/\b\d+(\.\d+)? ms\b/g, 'N ms')
      .split(/(\d+(?:\.\d+)?)/);
  const [foundParts, shownParts] = [parts(found), parts(shown)];
  const isNumber = (index: number) => index % 2 === 1;
  const words = (all: string[]) => all.map((part, index) => (isNumber(index) ? 'N' : part)).join('');
  expect(words(foundParts)).toBe(words(shownParts));
  for (const [index, part] of foundParts.entries()) {
    const other = Number(shownParts[index]);
    if (isNumber(index)) expect(Math.abs(Number(part) - other), found).toBeLessThanOrEqual(0.05 * other + 0.02);
  }
}
