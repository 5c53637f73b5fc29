import { spawnSync } from 'node:child_process';

const FIND_MISSING = 'import importlib.util as u, sys; print(*[m for m in sys.argv[1:] if not u.find_spec(m)])';

/** Names of the modules that a Python does not have, with spaces between; empty when it has all. What is wrong with it where it does not run. */
export function missingModules(python: string, modules: readonly string[]): string {
  const search = spawnSync(python, ['-c', FIND_MISSING, ...modules], { encoding: 'utf8' });
  return search.status === 0 ? search.stdout.trim() : `(${python} does not run)`;
}
