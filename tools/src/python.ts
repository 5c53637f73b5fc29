import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { Advice, step } from './terminal.js';
import { CACHE_FOLDER, ROOT } from './workspace.js';

/** Nx projects whose tests are in Python. */
export const PYTHON_PROJECTS = ['training', 'python-client'];

const CONSTRAINTS = 'training/constraints.txt';
const DEFINITIONS = ['training/pyproject.toml', CONSTRAINTS, 'clients/python/pyproject.toml'];
/** Modules that stand for the packages of each project and of its tests. */
const NEEDED = [
  'torch',
  'onnx',
  'onnxruntime',
  'pytest',
  'mypy',
  'ruff',
  'importlinter',
  'httpx',
  'httpx_sse',
  'pandas',
  'grpc_tools',
];
const FIND_MISSING = 'import importlib.util as u, sys; print(*[m for m in sys.argv[1:] if not u.find_spec(m)])';

/**
 * The Python that has what the tests of `training/` and `clients/python` import: that of `PYTHON`, of training/.venv, or one
 * that is made here where `install` says so and kept beside the user's other caches. Undefined, with a line that says why,
 * where there is none: serving needs no Python.
 */
export function providePython(install: boolean): string | undefined {
  const named = process.env['PYTHON'];
  const own = join(ROOT, 'training/.venv/bin/python');
  const kept = join(CACHE_FOLDER, 'python');
  if (named === undefined && install) makeEnvironment(kept);
  const python = named ?? [own, join(kept, 'bin/python')].find(existsSync) ?? 'python3';
  const search = spawnSync(python, ['-c', FIND_MISSING, ...NEEDED], { encoding: 'utf8' });
  const missing = search.status === 0 ? search.stdout.trim() : `(${python} does not run)`;
  if (missing === '') return python;
  const advice = `missing ${missing}; training/README.md says how to install (PYTHON names another Python)`;
  if (install) throw new Advice(`The Python tests cannot run: ${advice}.`);
  console.log(`  Python tests are skipped: ${advice}.`);
  return undefined;
}

/** Made anew when what it holds is not what the definitions ask for. */
function makeEnvironment(folder: string): void {
  const hash = createHash('sha256');
  for (const file of DEFINITIONS) hash.update(readFileSync(join(ROOT, file)));
  const wanted = hash.digest('hex');
  const marker = join(folder, 'segue-definitions.sha256');
  if (existsSync(marker) && readFileSync(marker, 'utf8') === wanted) return;
  step(`Installing the Python packages of the tests in ${folder} (5 GB, some minutes; kept for later runs)`);
  run('python3', ['-m', 'venv', folder]);
  // As links to the sources, for what they need; the tests find the sources themselves.
  const packages = ['-e', './training[lisa,lint,test]', '-e', './clients/python[dev]'];
  const pip = [join(folder, 'bin/python'), ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check']] as const;
  run(pip[0], [...pip[1], '--constraint', CONSTRAINTS, ...packages]);
  run(pip[0], ['-m', 'pip', 'uninstall', '--quiet', '--yes', 'segue-training', 'segue-client']);
  writeFileSync(marker, wanted);
}

function run(program: string, args: readonly string[]): void {
  if (spawnSync(program, args, { cwd: ROOT, stdio: 'inherit' }).status === 0) return;
  throw new Advice(
    `The Python packages of the tests could not be installed: see above (${program} ${args.join(' ')}).`,
  );
}
