import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { missingModules } from '@segue/local-system';
import { Advice, step } from './terminal.js';
import { CACHE_FOLDER, ROOT } from './workspace.js';

interface Environment {
  /** The Nx project whose tests run in it. */
  readonly project: string;
  /** Environment variable that names its interpreter. */
  readonly variable: string;
  /** An interpreter that its guide makes. */
  readonly own: string;
  /** Name of the one that is made here. */
  readonly folder: string;
  readonly size: string;
  readonly install: readonly string[];
  readonly definitions: readonly string[];
  /** Modules that stand for its packages. */
  readonly needs: readonly string[];
  readonly guide: string;
}

const CONSTRAINTS = 'training/constraints.txt';
const ENVIRONMENTS: readonly Environment[] = [
  {
    project: 'training',
    variable: 'PYTHON',
    own: 'training/.venv/bin/python',
    folder: 'python',
    size: '5 GB',
    install: ['--constraint', CONSTRAINTS, '-e', './training[lisa,lint,test]'],
    definitions: ['training/pyproject.toml', CONSTRAINTS],
    needs: ['torch', 'onnx', 'onnxruntime', 'pytest', 'mypy', 'ruff', 'importlinter', 'grpc_tools', 'transformers'],
    guide: 'training/README.md',
  },
  {
    project: 'python-client',
    variable: 'PYTHON_CLIENT',
    own: 'clients/python/.venv/bin/python',
    folder: 'python-client',
    size: '0.5 GB',
    install: ['-e', './clients/python[dev,examples]'],
    definitions: ['clients/python/pyproject.toml'],
    needs: ['httpx', 'httpx_sse', 'mypy', 'openai', 'pandas', 'pytest', 'ruff', 'tritonclient'],
    guide: 'clients/python/README.md',
  },
];

export interface Interpreters {
  /** Variables that name the interpreters there are. */
  readonly env: Readonly<Record<string, string>>;
  /** Projects whose tests cannot run for want of one. */
  readonly missing: readonly string[];
}

/**
 * Interpreters that have what the tests in Python import: those that the variables name, those that the guides make, or
 * ones that are made here where `install` says so and kept beside the user's other caches. Serving needs no Python.
 * @throws Advice where one was to be made and cannot be used.
 */
export function providePython(install: boolean): Interpreters {
  const env: Record<string, string> = {};
  const missing: string[] = [];
  for (const environment of ENVIRONMENTS) {
    const python = provide(environment, install);
    if (python === undefined) missing.push(environment.project);
    else env[environment.variable] = python;
  }
  return { env, missing };
}

function provide(environment: Environment, install: boolean): string | undefined {
  const { variable, own, needs, project, guide } = environment;
  const named = process.env[variable];
  const kept = join(CACHE_FOLDER, environment.folder);
  if (named === undefined && install) make(environment, kept);
  const python = named ?? [join(ROOT, own), join(kept, 'bin/python')].find(existsSync) ?? 'python3';
  const missing = missingModules(python, needs);
  if (missing === '') return python;
  const advice = `missing ${missing}; ${guide} says how to install (${variable} names another Python)`;
  if (install) throw new Advice(`The tests of ${project} cannot run: ${advice}.`);
  console.log(`  The tests of ${project} are skipped: ${advice}.`);
  return undefined;
}

/** Made anew when what it holds is not what the definitions ask for, or is of a checkout in another folder, which may be gone. */
function make({ project, size, install, definitions }: Environment, folder: string): void {
  const hash = createHash('sha256').update(ROOT);
  for (const file of definitions) hash.update(readFileSync(join(ROOT, file)));
  const wanted = hash.digest('hex');
  const marker = join(folder, 'segue-definitions.sha256');
  if (existsSync(marker) && readFileSync(marker, 'utf8') === wanted) return;
  step(`Installing the Python packages of ${project} in ${folder} (${size}, some minutes; kept for later runs)`);
  run('python3', ['-m', 'venv', folder]);
  const pip = (...args: string[]) =>
    run(join(folder, 'bin/python'), ['-m', 'pip', '--disable-pip-version-check', ...args]);
  pip('install', '--quiet', ...install);
  writeFileSync(marker, wanted);
}

function run(program: string, args: readonly string[]): void {
  if (spawnSync(program, args, { cwd: ROOT, stdio: 'inherit' }).status === 0) return;
  throw new Advice(
    `The Python packages of the tests could not be installed: see above (${program} ${args.join(' ')}).`,
  );
}
