import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { oneCheck, succeeds, type Counts } from './counts.js';
import { ROOT } from './workspace.js';

/** Modules that the tests of `training/` import. */
const PYTHON_NEEDS = [
  'cv2',
  'gguf',
  'grpc',
  'grpc_reflection',
  'grpc_tools',
  'inflect',
  'numpy',
  'onnx',
  'onnxruntime',
  'onnxscript',
  'PIL',
  'pycocotools',
  'pytest',
  'requests',
  'safetensors',
  'tokenizers',
  'torch',
  'tqdm',
];
const FIND_MISSING = 'import importlib.util as u, sys; print(*[m for m in sys.argv[1:] if not u.find_spec(m)])';

interface VitestReport {
  readonly testResults: readonly {
    readonly name: string;
    readonly assertionResults: readonly { readonly fullName: string; readonly status: string }[];
  }[];
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
  if (!existsSync(file)) return oneCheck(false);
  const tests = (JSON.parse(readFileSync(file, 'utf8')) as VitestReport).testResults.flatMap((suite) =>
    suite.assertionResults.map((test) => ({ ...test, file: relative(ROOT, suite.name) })),
  );
  const skipped = tests.filter(({ status }) => status !== 'passed' && status !== 'failed');
  for (const test of skipped) console.log(`  skipped: ${test.file}: ${test.fullName}`);
  // A file that fails to load has no failed test, and an error outside of tests belongs to none.
  const failed = Math.max(tests.filter(({ status }) => status === 'failed').length, passed ? 0 : 1);
  return { passed: tests.filter(({ status }) => status === 'passed').length, failed, skipped: skipped.length };
}

/** Runs the tests of `training/` where the machine-learning packages are there; they are not needed to serve. */
export function runPythonTests(folder: string): Counts {
  const python = process.env['PYTHON'] ?? 'python3';
  const search = spawnSync(python, ['-c', FIND_MISSING, ...PYTHON_NEEDS], { encoding: 'utf8' });
  const missing = search.status === 0 ? search.stdout.trim() : `(${python} does not run)`;
  if (missing !== '') {
    console.log(
      `  Python tests skipped: missing ${missing}; training/README.md says how to install (PYTHON names another Python).`,
    );
    return { passed: 0, failed: 0, skipped: 1 };
  }
  const file = join(folder, 'pytest.xml');
  const passed = succeeds(python, ['-m', 'pytest', '--quiet', '-rs', `--junitxml=${file}`, 'training'], {
    PYTHONPATH: join(ROOT, 'training'),
  });
  if (!existsSync(file)) return oneCheck(false);
  const suite = /<testsuite [^>]*>/.exec(readFileSync(file, 'utf8'))?.[0] ?? '';
  const count = (name: string) => Number(new RegExp(` ${name}="(\\d+)"`).exec(suite)?.[1] ?? 0);
  const failed = Math.max(count('failures') + count('errors'), passed ? 0 : 1);
  return { passed: count('tests') - count('skipped') - failed, failed, skipped: count('skipped') };
}
