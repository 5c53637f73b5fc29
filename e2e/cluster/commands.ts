import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

export const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const HERE = fileURLToPath(new URL('.', import.meta.url));

const startedAt = performance.now();

/** A line of the time line: seconds since the beginning, and what was seen. */
export function tell(what: string): void {
  console.log(`${((performance.now() - startedAt) / 1000).toFixed(1).padStart(7)} s  ${what}`);
}

/** Runs a program of this folder or of the PATH; its standard output. Fails with what it wrote to standard error. */
export async function run(program: string, ...args: string[]): Promise<string> {
  const path = program.endsWith('.sh') ? `${HERE}${program}` : program;
  const { stdout } = await promisify(execFile)(path, args, { cwd: ROOT, encoding: 'utf8', maxBuffer: 2 ** 28 });
  return stdout.trim();
}
