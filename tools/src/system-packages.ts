import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { findProgram, findRedis } from '@segue/local-system';
import { Advice, step } from './terminal.js';
import { CACHE_FOLDER } from './workspace.js';

const GRPCURL = 'github.com/fullstorydev/grpcurl/cmd/grpcurl@v1.9.3';
const VERSITYGW = 'github.com/versity/versitygw/cmd/versitygw@v1.8.0';
const KUSTOMIZE = 'sigs.k8s.io/kustomize/kustomize/v5@v5.8.1';

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

/** For the tests of the page. Where there is none they are skipped, and say so. */
export function provideBrowser(): void {
  if (!findProgram(['chromium', 'chromium-browser', 'google-chrome'])) installPackage('chromium');
}

/** For the tests of the manifests, alerts, examples, completion, pictures in S3 and clocks that are wrong. Where they are missing those are skipped, and say so. */
export function provideTools(): void {
  if (!findProgram(['zsh'])) installPackage('zsh');
  if (!findProgram(['promtool'])) installPackage('prometheus');
  if (!findProgram(['faketime'])) installPackage('faketime');
  if (!findProgram(['kubectl'])) buildGoProgram('kustomize', KUSTOMIZE);
  buildGoProgram('grpcurl', GRPCURL);
  buildGoProgram('versitygw', VERSITYGW);
}

/** Builds a program of Go in the cache, unless it is there or on the PATH. */
function buildGoProgram(name: string, module: string): void {
  const folder = join(CACHE_FOLDER, 'bin');
  if (findProgram([name]) ?? findProgram([name], folder)) return;
  if (!findProgram(['go'])) installPackage('golang');
  step(`Building ${name} in ${folder} (go install; kept for later runs)`);
  const env = { ...process.env, GOBIN: folder };
  if (spawnSync('go', ['install', module], { env, stdio: 'inherit' }).status !== 0) step(`${name} could not be built`);
}

/** Installs a Debian package where that is possible without asking: as root, with apt-get. */
function installPackage(name: string): boolean {
  if (process.getuid?.() !== 0 || !findProgram(['apt-get'])) return false;
  step(`Installing Debian's ${name} (apt-get)`);
  return aptGet('install', '--no-install-recommends', name) || (aptGet('update') && aptGet('install', name));
}

function aptGet(...args: string[]): boolean {
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  return spawnSync('apt-get', ['-y', '-q', ...args], { env, stdio: ['ignore', 'ignore', 'inherit'] }).status === 0;
}
