import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { freePort, Program } from '@segue/local-system';
import { stopTree } from '../processes.js';
import { BUNDLE, ROOT, STATE_FOLDER, step } from '../workspace.js';
import type { Deployment } from './contestant.js';
import { httpAsk } from './interfaces.js';

const FOLDER = join(ROOT, 'bench/python');
const ENVIRONMENT = join(STATE_FOLDER, 'venv');
/** The benchmark's own Python. */
export const PYTHON = join(ENVIRONMENT, 'bin/python');

/** Makes the benchmark's Python environment with the pinned packages, unless it is there already. */
export function providePython(): void {
  const files = ['requirements.txt', 'constraints.txt'].map((name) => join(FOLDER, name));
  const wanted = createHash('sha256')
    .update(files.map((file) => readFileSync(file, 'utf8')).join())
    .digest('hex');
  const marker = join(ENVIRONMENT, 'installed');
  if (existsSync(marker) && readFileSync(marker, 'utf8') === wanted) return;
  step('Making the Python environment: Ray, FastAPI, ONNX Runtime (once, about 620 MB)');
  run(process.env['PYTHON'] ?? 'python3', ['-m', 'venv', ENVIRONMENT]);
  const [requirements = '', constraints = ''] = files;
  run(PYTHON, ['-m', 'pip', 'install', '--quiet', '--requirement', requirements, '--constraint', constraints]);
  writeFileSync(marker, wanted);
}

/** The three stages as deployments of Ray Serve. */
export async function startRay(): Promise<Deployment> {
  return startServer('Ray Serve', 'ray_server.py', '/-/healthz');
}

/** All stages in one process behind FastAPI. */
export async function startFastApi(): Promise<Deployment> {
  return startServer('FastAPI', 'fastapi_server.py', '/openapi.json');
}

async function startServer(name: string, file: string, health: string): Promise<Deployment> {
  const port = await freePort();
  const program = new Program({
    name,
    command: [PYTHON, join(FOLDER, file), String(port)],
    cwd: ROOT,
    env: {
      PATH: process.env['PATH'],
      HOME: process.env['HOME'],
      PYTHONPATH: [join(ROOT, 'training'), FOLDER].join(':'),
      SEGUE_BUNDLE: BUNDLE,
      OMP_NUM_THREADS: '1',
      RAY_USAGE_STATS_ENABLED: '0',
    },
  });
  const url = `http://127.0.0.1:${port}`;
  try {
    await program.ready(url + health);
  } catch (error) {
    await stopTree(program);
    throw error;
  }
  return { contestants: [{ name, ask: httpAsk(`${url}/`), processes: [program] }], stop: () => stopTree(program) };
}

function run(command: string, args: readonly string[]): void {
  const { status } = spawnSync(command, args, { stdio: 'inherit' });
  if (status !== 0) throw new Error(`${command} ${args.join(' ')} failed: see above`);
}
