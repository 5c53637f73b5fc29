import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { checkFormat, checkGeneratedCode, checkLint, checkTypes } from './checks.js';
import type { Counts } from './counts.js';
import { runPythonTests, runVitest } from './suites.js';
import { findProgram, installPackage } from './system-packages.js';
import { redisProgram } from './redis.js';
import { paint, runCommand, step } from './terminal.js';
import { STATE_FOLDER } from './workspace.js';

type Step = readonly [title: string, run: (folder: string) => Counts];

const STEPS: readonly Step[] = [
  ['Generated code is up to date', checkGeneratedCode],
  ['Format', checkFormat],
  ['Lint', checkLint],
  ['Types of sources and specs', checkTypes],
  ['Unit and integration tests', (folder) => runVitest(folder, 'units', ['--project=!e2e'])],
  ['End-to-end tests', (folder) => runVitest(folder, 'e2e', ['--project=e2e', '--no-file-parallelism'])],
  ['Python tests', runPythonTests],
];

await runCommand(async () => {
  redisProgram();
  // Without it the test of the page is skipped, and says so.
  if (!findProgram(['chromium', 'chromium-browser', 'google-chrome'])) installPackage('chromium');
  mkdirSync(STATE_FOLDER, { recursive: true });
  const folder = mkdtempSync(join(STATE_FOLDER, 'test-'));
  try {
    const results = STEPS.map(([title, run], index) => {
      step(`${index + 1}/${STEPS.length} ${title}`);
      const startedAt = performance.now();
      const counts = run(folder);
      const verdict = counts.failed === 0 ? paint('green', 'ok') : paint('red', `${counts.failed} failed`);
      console.log(`  ${verdict} ${paint('dim', `(${Math.round((performance.now() - startedAt) / 1000)} s)`)}`);
      return { title, ...counts };
    });
    return report(results);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

/** The last line stands alone in a form that CI readers count. */
function report(results: readonly (Counts & { readonly title: string })[]): number {
  const total = (key: keyof Counts) => results.reduce((sum, result) => sum + result[key], 0);
  console.log('');
  for (const { title, passed, failed } of results) {
    const mark = failed === 0 ? paint('green', '✓') : paint('red', '✗');
    console.log(`${mark} ${title}: ${passed} passed, ${failed} failed`);
  }
  console.log(`\n${total('passed')} passed, ${total('failed')} failed`);
  return total('failed') === 0 ? 0 : 1;
}
