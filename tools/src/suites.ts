import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { succeeds, type Counts } from './counts.js';
import { ROOT } from './workspace.js';

const PYTHON_NEEDS = ['numpy', 'onnx', 'onnxruntime', 'pycocotools', 'pytest', 'torch'];

interface VitestReport {
  readonly numPassedTests: number;
  readonly numFailedTests: number;
}

/** Runs vitest over some of the workspace's projects. */
export function runVitest(folder: string, name: string, args: readonly string[]): Counts {
  const file = join(folder, `${name}.json`);
  const passed = succeeds(join(ROOT, 'node_modules/.bin/vitest'), [
    'run',
    '--config=vitest.all.ts',
    '--reporter=default',
    '--reporter=json',
    `--outputFile.json=${file}`,
    ...args,
  ]);
  if (!existsSync(file)) return { passed: 0, failed: 1 };
  const report = JSON.parse(readFileSync(file, 'utf8')) as VitestReport;
  // A file that fails to load has no failed test, and an error outside of tests belongs to none.
  const failed = Math.max(report.numFailedTests, passed ? 0 : 1);
  return { passed: report.numPassedTests, failed };
}

/** Runs the tests of `training/` where the machine-learning packages are there; they are not needed to serve. */
export function runPythonTests(folder: string): Counts {
  const python = process.env['PYTHON'] ?? 'python3';
  const missing = PYTHON_NEEDS.filter((name) => spawnSync(python, ['-c', `import ${name}`]).status !== 0);
  if (missing.length > 0) {
    console.log(`  Python tests skipped: ${python} lacks ${missing.join(', ')} (see training/README.md).`);
    return { passed: 0, failed: 0 };
  }
  const file = join(folder, 'pytest.xml');
  const passed = succeeds(python, ['-m', 'pytest', '--quiet', `--junitxml=${file}`, 'training']);
  if (!existsSync(file)) return { passed: 0, failed: 1 };
  const suite = /<testsuite [^>]*>/.exec(readFileSync(file, 'utf8'))?.[0] ?? '';
  const count = (name: string) => Number(new RegExp(` ${name}="(\\d+)"`).exec(suite)?.[1] ?? 0);
  const failed = Math.max(count('failures') + count('errors'), passed ? 0 : 1);
  return { passed: count('tests') - count('skipped') - failed, failed };
}
