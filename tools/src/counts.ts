import { spawnSync } from 'node:child_process';
import { ROOT } from './workspace.js';

/** Tests or checks that passed and failed. */
export interface Counts {
  readonly passed: number;
  readonly failed: number;
}

/** A check counts as one test. */
export function oneCheck(passed: boolean): Counts {
  return passed ? { passed: 1, failed: 0 } : { passed: 0, failed: 1 };
}

/** Runs a program in the repository's root with its output shown; true when it ends with status 0. */
export function succeeds(
  program: string,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): boolean {
  return spawnSync(program, args, { cwd: ROOT, stdio: 'inherit', env: { ...process.env, ...env } }).status === 0;
}
