import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { checkFormat, checkGeneratedCode, checkLint, checkTypes } from './checks.js';
import { countsLine, skipsAllowed, sum, type Counts } from './counts.js';
import { runPythonTests, runVitest } from './suites.js';
import { findProgram } from '@segue/local-system';
import { installPackage, provideRedisProgram } from './system-packages.js';
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
  provideRedisProgram();
  // Without it the test of the page is skipped, and says so.
  if (!findProgram(['chromium', 'chromium-browser', 'google-chrome'])) installPackage('chromium');
  mkdirSync(STATE_FOLDER, { recursive: true });
  const folder = mkdtempSync(join(STATE_FOLDER, 'test-'));
  try {
    const results = STEPS.map(([title, run], index) => {
      step(`${index + 1}/${STEPS.length} ${title}`);
      const startedAt = performance.now();
      const counts = run(folder);
      const verdict = holds(counts) ? paint('green', 'ok') : paint('red', 'not ok');
      console.log(`  ${verdict} ${paint('dim', `(${Math.round((performance.now() - startedAt) / 1000)} s)`)}`);
      return { title, ...counts };
    });
    return report(results);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

function holds({ failed, skipped }: Counts): boolean {
  return failed === 0 && (skipped === 0 || skipsAllowed);
}

/** The last line stands alone in a form that CI readers count. */
function report(results: readonly (Counts & { readonly title: string })[]): number {
  console.log('');
  for (const { title, ...counts } of results) {
    console.log(`${holds(counts) ? paint('green', '✓') : paint('red', '✗')} ${title}: ${countsLine(counts)}`);
  }
  const total = sum(results);
  if (total.skipped > 0 && !skipsAllowed)
    console.log('\nWhere CI is set, a skipped test is a failure: see above for its reason.');
  console.log(`\n${countsLine(total)}`);
  return holds(total) ? 0 : 1;
}
