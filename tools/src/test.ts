import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { provideBrowser, provideRedisProgram, provideTools } from './system-packages.js';
import { knownAdvisories } from './advisories.js';
import { providePython } from './python.js';
import { countsOf, coverageOf, type Counts, type Task } from './reports.js';
import { Advice, paint, runCommand, step } from './terminal.js';
import { CACHE_FOLDER, ROOT, STATE_FOLDER } from './workspace.js';

/** Every check and test of the workspace: targets of Nx, named as the scripts of package.json. */
const TARGETS = ['generated-check', 'format-check', 'lint', 'typecheck', 'unused', 'test'];
const RESULTS = join(STATE_FOLDER, 'task-results.json');

await runCommand(async () => {
  // In CI a test that cannot run is a failure, so what the tests need is provided; elsewhere it is looked for.
  const inCi = Boolean(process.env['CI']);
  provideRedisProgram();
  provideBrowser();
  if (inCi) provideTools();
  const python = providePython(inCi);

  step(`Checking and testing with Nx (${TARGETS.join(', ')}); what has not changed comes from its cache`);
  mkdirSync(STATE_FOLDER, { recursive: true });
  rmSync(RESULTS, { force: true });
  const exclude = python.missing.length > 0 ? [`--exclude=${python.missing.join(',')}`] : [];
  const args = ['run-many', '--targets', TARGETS.join(','), '--parallel=2', '--outputStyle=static', '--nxBail=false'];
  spawnSync(join(ROOT, 'node_modules/.bin/nx'), [...args, ...exclude, ...process.argv.slice(2)], {
    cwd: ROOT,
    stdio: 'inherit',
    env: {
      ...process.env,
      NX_DAEMON: 'false',
      SEGUE_TASK_RESULTS: RESULTS,
      PATH: [join(CACHE_FOLDER, 'bin'), process.env['PATH']].join(delimiter),
      ...python.env,
    },
  });
  if (!existsSync(RESULTS)) throw new Advice('Nx could not run the tasks: see above.\n\n0 passed, 1 failed, 0 skipped');
  const tasks = JSON.parse(readFileSync(RESULTS, 'utf8')) as Task[];
  const results = tasks.map((task) => ({ task, counts: countsOf(task) }));
  const missing = python.missing.map((project) => `the tests of ${project}: see above for what they need`);
  const advisories = inCi ? await askForAdvisories() : [];
  return report({ results, missing, advisories, inCi });
});

async function askForAdvisories(): Promise<string[]> {
  step('Asking the registry for advisories of packages in use (npm audit)');
  const advisories = await knownAdvisories();
  if (!advisories) step('The registry tells no advisories: what is known of packages was not checked');
  return (advisories ?? []).map((advisory) => `known advisory: ${advisory}`);
}

interface Report {
  readonly results: readonly { readonly task: Task; readonly counts: Counts }[];
  readonly missing: readonly string[];
  readonly advisories: readonly string[];
  readonly inCi: boolean;
}

/** The last line stands alone in a form that CI readers count. */
function report({ results, missing, advisories, inCi }: Report): number {
  console.log('');
  for (const { task, counts } of results) {
    const coverage = coverageOf(task);
    const mark = counts.failed === 0 ? paint('green', '✓') : paint('red', '✗');
    const covered = coverage === undefined ? '' : paint('dim', ` · ${coverage.toFixed(0)} % of the lines run`);
    console.log(`${mark} ${task.project} ${task.target}: ${counts.passed} passed, ${counts.failed} failed${covered}`);
  }
  const skipped = [...results.flatMap(({ counts }) => counts.skipped), ...missing];
  for (const name of skipped) console.log(`- skipped: ${name}`);
  for (const name of [...results.flatMap(({ counts }) => counts.failures), ...advisories])
    console.log(`${paint('red', '✗')} failed: ${name}`);
  if (skipped.length > 0 && inCi) console.log('\nWhere CI is set, a skipped test is a failure.');
  const sum = (key: 'passed' | 'failed') => results.reduce((total, { counts }) => total + counts[key], 0);
  const failed = sum('failed') + advisories.length;
  console.log(`\n${sum('passed')} passed, ${failed} failed, ${skipped.length} skipped`);
  return failed > 0 || (skipped.length > 0 && inCi) ? 1 : 0;
}
