import { promisify } from 'node:util';
import { execFile } from 'node:child_process';
import { ROOT } from './workspace.js';

const TIMEOUT_MS = 60_000;

interface Audit {
  readonly vulnerabilities?: Readonly<Record<string, { readonly severity: string; readonly range: string }>>;
}

/**
 * Packages that are used outside of development for which the registry knows an advisory of high severity, or worse.
 * @param options of `npm audit`
 * @returns nothing where the registry does not tell advisories
 */
export async function knownAdvisories(...options: readonly string[]): Promise<string[] | undefined> {
  const args = ['audit', '--omit=dev', '--json', ...options];
  // Its status is 1 both where it finds something and where it cannot look.
  const { stdout } = await promisify(execFile)('npm', args, { cwd: ROOT, timeout: TIMEOUT_MS }).catch(
    (error: { readonly stdout?: string }) => error,
  );
  const { vulnerabilities } = JSON.parse(stdout || '{}') as Audit;
  if (!vulnerabilities) return undefined;
  return Object.entries(vulnerabilities)
    .filter(([, { severity }]) => severity === 'high' || severity === 'critical')
    .map(([name, { severity, range }]) => `${name} ${range}: ${severity}`);
}
