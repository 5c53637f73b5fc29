import { spawnSync } from 'node:child_process';
import { ROOT } from './workspace.js';

/** Tests or checks by how they ended. */
export interface Counts {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
}

/** A check counts as one test. */
export function oneCheck(passed: boolean): Counts {
  return { passed: passed ? 1 : 0, failed: passed ? 0 : 1, skipped: 0 };
}

/** "3 passed, 0 failed, 1 skipped" */
export function countsLine({ passed, failed, skipped }: Counts): string {
  return `${passed} passed, ${failed} failed, ${skipped} skipped`;
}

/** Whether a skipped test still lets the whole hold. */
export const skipsAllowed = true;

export function sum(all: readonly Counts[]): Counts {
  const total = (key: keyof Counts) => all.reduce((result, counts) => result + counts[key], 0);
  return { passed: total('passed'), failed: total('failed'), skipped: total('skipped') };
}

/** Runs a program in the repository's root with its output shown; true when it ends with status 0. */
export function succeeds(
  program: string,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): boolean {
  return spawnSync(program, args, { cwd: ROOT, stdio: 'inherit', env: { ...process.env, ...env } }).status === 0;
}
