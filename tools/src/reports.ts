import { existsSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { stripVTControlCharacters } from 'node:util';
import { ROOT } from './workspace.js';

/** Tests or checks by how they ended. */
export interface Counts {
  readonly passed: number;
  readonly failed: number;
  /** Those that failed, and the first line of what each says; fewer than `failed` where no test of its own says it. */
  readonly failures: readonly string[];
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
    readonly status: string;
    /** Why the file could not be loaded. */
    readonly message: string;
    readonly assertionResults: readonly {
      readonly fullName: string;
      readonly status: string;
      readonly failureMessages: readonly string[];
    }[];
  }[];
}

/** What a task counts for: its tests, or one where it is a check without a report. */
export function countsOf({ project, target, root, status }: Task): Counts {
  if (status === 'skipped')
    return { passed: 0, failed: 0, failures: [], skipped: [`${project}:${target}: something that it needs failed`] };
  const succeeded = status !== 'failure';
  const report = target === 'test' ? readReport(join(ROOT, root, 'reports')) : undefined;
  const counts = report ?? { passed: succeeded ? 1 : 0, failed: 0, failures: [], skipped: [] };
  // An error outside of tests belongs to none of them, nor does a floor of coverage.
  return { ...counts, failed: Math.max(counts.failed, succeeded ? 0 : 1) };
}

/** Share of the lines that a project's tests run, in per cent; undefined where that is not measured. */
export function coverageOf({ root, target }: Task): number | undefined {
  const file = join(ROOT, root, 'reports/coverage/coverage-summary.json');
  if (target !== 'test' || !existsSync(file)) return undefined;
  return (JSON.parse(readFileSync(file, 'utf8')) as { total: { lines: { pct: number } } }).total.lines.pct;
}

/** What a folder's report of vitest (`test.json`) or pytest (`test.xml`) says; undefined where there is none. */
export function readReport(folder: string): Counts | undefined {
  const [vitest, pytest] = [join(folder, 'test.json'), join(folder, 'test.xml')];
  if (existsSync(vitest)) return readVitest(readFileSync(vitest, 'utf8'));
  return existsSync(pytest) ? readPytest(readFileSync(pytest, 'utf8')) : undefined;
}

function readVitest(json: string): Counts {
  const files = (JSON.parse(json) as VitestReport).testResults;
  const tests = files.flatMap(({ name, assertionResults }) =>
    assertionResults.map((result) => ({ ...result, name: `${relative(ROOT, name)}: ${result.fullName}` })),
  );
  const of = (wanted: string) => tests.filter(({ status }) => status === wanted);
  const run = ['passed', 'failed'];
  // The tests of a file that cannot be loaded count as skipped, if they are known at all; that it failed is said of the file.
  const unloaded = files.filter((file) => file.status === 'failed' && file.message !== '');
  const failures = [
    ...of('failed').map(({ name, failureMessages }) => failure(name, failureMessages[0])),
    ...unloaded.map(({ name, message }) => failure(relative(ROOT, name), message)),
  ];
  const skipped = tests.filter(({ status }) => !run.includes(status)).map(({ name }) => name);
  return { passed: of('passed').length, failed: failures.length, failures, skipped };
}

/** JUnit's XML as pytest writes it. */
function readPytest(xml: string): Counts {
  const suite = /<testsuite [^>]*>/.exec(xml)?.[0] ?? '';
  const count = (name: string) => Number(new RegExp(` ${name}="(\\d+)"`).exec(suite)?.[1] ?? 0);
  const ended = (how: string) => [
    ...xml.matchAll(
      new RegExp(`<testcase classname="([^"]*)" name="([^"]*)"[^>]*><(?:${how})[^>]* message="([^"]*)"`, 'g'),
    ),
  ];
  const skipped = ended('skipped').map(([, file, name, why]) => `${file}: ${name} (${why})`);
  const failures = ended('failure|error').map(([, file, name, why]) => failure(`${file}: ${name}`, why));
  const failed = count('failures') + count('errors');
  return { passed: count('tests') - count('skipped') - failed, failed, failures, skipped };
}

function failure(name: string, message = ''): string {
  return `${name}: ${stripVTControlCharacters(message).split(/\n|&#10;/)[0]}`;
}
