import { spawnSync } from 'node:child_process';
import { findProgram, findRedis } from '@segue/local-system';
import { Advice, step } from './terminal.js';

/**
 * Installs Redis where it is missing and that is possible.
 * @throws Advice that says what to install where it is not.
 */
export function provideRedisProgram(): void {
  if (findProgram(['redis-server', 'valkey-server']) === undefined) installPackage('redis-server');
  try {
    findRedis();
  } catch (error) {
    throw new Advice((error as Error).message);
  }
}

/** Installs a Debian package where that is possible without asking: as root, with apt-get. */
export function installPackage(name: string): boolean {
  if (process.getuid?.() !== 0 || !findProgram(['apt-get'])) return false;
  step(`Installing Debian's ${name} (apt-get)`);
  return aptGet('install', '--no-install-recommends', name) || (aptGet('update') && aptGet('install', name));
}

function aptGet(...args: string[]): boolean {
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  return spawnSync('apt-get', ['-y', '-q', ...args], { env, stdio: ['ignore', 'ignore', 'inherit'] }).status === 0;
}
