import { existsSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { ROOT } from './workspace.js';

/** Tests or checks by how they ended. */
export interface Counts {
  readonly passed: number;
  readonly failed: number;
  /** Names of those that were not run. */
  readonly skipped: readonly string[];
}

/** A task of Nx, as `nx-results.mjs` writes it down. */
export interface Task {
  readonly project: string;
  readonly target: string;
  /** Folder of the project, from the workspace's root. */
  readonly root: string;
  readonly status: string;
}

interface VitestReport {
  readonly testResults: readonly {
    readonly name: string;
    readonly assertionResults: readonly { readonly fullName: string; readonly status: string }[];
  }[];
}

/** What a task counts for: its tests, or one where it is a check without a report. */
export function countsOf({ project, target, root, status }: Task): Counts {
  if (status === 'skipped')
    return { passed: 0, failed: 0, skipped: [`${project}:${target}: something that it needs failed`] };
  const succeeded = status !== 'failure';
  const { passed, failed, skipped } = (target === 'test' ? readReport(join(ROOT, root, 'reports')) : undefined) ?? {
    passed: succeeded ? 1 : 0,
    failed: 0,
    skipped: [],
  };
  // A file that fails to load has no failed test, an error outside of tests belongs to none, nor does a floor of coverage.
  return { passed, failed: Math.max(failed, succeeded ? 0 : 1), skipped };
}

/** Share of the lines that a project's tests run, in per cent; undefined where that is not measured. */
export function coverageOf({ root, target }: Task): number | undefined {
  const file = join(ROOT, root, 'reports/coverage/coverage-summary.json');
  if (target !== 'test' || !existsSync(file)) return undefined;
  return (JSON.parse(readFileSync(file, 'utf8')) as { total: { lines: { pct: number } } }).total.lines.pct;
}

function readReport(folder: string): Counts | undefined {
  const [vitest, pytest] = [join(folder, 'test.json'), join(folder, 'test.xml')];
  if (existsSync(vitest)) return readVitest(readFileSync(vitest, 'utf8'));
  return existsSync(pytest) ? readPytest(readFileSync(pytest, 'utf8')) : undefined;
}

function readVitest(json: string): Counts {
  const tests = (JSON.parse(json) as VitestReport).testResults.flatMap(({ name, assertionResults }) =>
    assertionResults.map(({ fullName, status }) => ({ status, name: `${relative(ROOT, name)}: ${fullName}` })),
  );
  const of = (wanted: string) => tests.filter(({ status }) => status === wanted).length;
  const run = ['passed', 'failed'];
  const skipped = tests.filter(({ status }) => !run.includes(status)).map(({ name }) => name);
  return { passed: of('passed'), failed: of('failed'), skipped };
}

/** JUnit's XML as pytest writes it. */
function readPytest(xml: string): Counts {
  const suite = /<testsuite [^>]*>/.exec(xml)?.[0] ?? '';
  const count = (name: string) => Number(new RegExp(` ${name}="(\\d+)"`).exec(suite)?.[1] ?? 0);
  const cases = xml.matchAll(/<testcase classname="([^"]*)" name="([^"]*)"[^>]*><skipped[^>]* message="([^"]*)"/g);
  const skipped = [...cases].map(([, file, name, why]) => `${file}: ${name} (${why})`);
  const failed = count('failures') + count('errors');
  return { passed: count('tests') - count('skipped') - failed, failed, skipped };
}
