import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { cpus, totalmem, type as systemType, release } from 'node:os';
import { createRequire } from 'node:module';
import type { LanguageRun } from './contestants/language-runs.js';
import type { Agreement, Cell } from './measure.js';
import { ROOT } from './workspace.js';

/** Everything that one run of the benchmark found. */
export interface Results {
  readonly environment: Readonly<Record<string, string>>;
  readonly agreement: readonly Agreement[];
  /** Medians of the windows before the first round, in milliseconds. */
  readonly warmUp: Readonly<Record<string, readonly number[]>>;
  /** Cores that nobody's questions took. */
  readonly idle: readonly { readonly contestant: string; readonly cores: number }[];
  /** Tokens a second of one answer and of eight in one batch, by the language model alone. */
  readonly words: { readonly one: number; readonly eight: number };
  /** How long the language graph alone takes for batches of several sizes. */
  readonly languageRuns: readonly LanguageRun[];
  /** Milliseconds from the start of one more of each of Segue's apps until it serves; absent where Segue takes no part. */
  readonly starts?: Readonly<Record<string, number>>;
  readonly memory: readonly { readonly contestant: string; readonly mib: Readonly<Record<string, number>> }[];
  readonly cells: readonly Cell[];
}

/** The machine, the versions and the command. */
export function describeEnvironment(command: string): Record<string, string> {
  const [{ model } = { model: 'unknown' }] = cpus();
  const git = (...args: string[]) => execFileSync('git', args, { cwd: ROOT, encoding: 'utf8' }).trim();
  const requirements = readFileSync(new URL('../python/requirements.txt', import.meta.url), 'utf8');
  const python = requirements.split('\n').filter((line) => /^(ray|fastapi|onnxruntime)\b/.test(line));
  const { version } = createRequire(import.meta.url)('onnxruntime-node/package.json') as { version: string };
  return {
    command,
    date: new Date().toISOString(),
    commit: `${git('rev-parse', '--short', 'HEAD')}${git('status', '--porcelain') === '' ? '' : ' with changes'}`,
    processor: `${cpus().length} x ${model}`,
    memory: `${Math.round(totalmem() / 2 ** 30)} GiB`,
    system: `${systemType()} ${release()}`,
    load: readFileSync('/proc/loadavg', 'utf8').split(' ').slice(0, 3).join(' '),
    versions: [`node ${process.versions.node}`, `onnxruntime-node ${version}`, ...python].join(', '),
  };
}
