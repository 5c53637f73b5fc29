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

/** Runs the commands of a step of docs/guides/kubernetes.md, as they stand there, but for an overlay's place; what they print. */
export async function runStep(step: number): Promise<string> {
  const commands = await run('node', `${HERE}guide.mjs`, String(step));
  const script = commands.replaceAll('k8s/overlays/production', 'e2e/cluster/overlays/running');
  return run('bash', '-ec', `trap 'kill $(jobs -p) 2>/dev/null || true' EXIT\n${script}`);
}
