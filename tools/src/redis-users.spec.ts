import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { findProgram, freePort } from '@segue/local-system';

import { ROOT } from './workspace.js';

const server = findProgram(['redis-server']);
const cli = findProgram(['redis-cli']);
const ACL = join(ROOT, 'k8s/overlays/local/users.acl');

let folder: string;
beforeEach(() => (folder = mkdtempSync(join(tmpdir(), 'segue-users-'))));
afterEach(() => rmSync(folder, { recursive: true }));

/** Redis with the users of the manifests and an append-only file, while `use` runs. */
async function withRedis(use: (ask: (...command: string[]) => string) => Promise<void> | void): Promise<void> {
  const port = String(await freePort());
  const settings = ['--dir', folder, '--aclfile', ACL, '--appendonly', 'yes', '--save', '', '--port', port];
  const redis = spawn(server ?? '', settings, { stdio: 'ignore' });
  const ask = (...command: string[]) =>
    execFileSync(cli ?? '', ['-p', port, '-e', ...command], { encoding: 'utf8', stdio: 'pipe' }).trim();
  const login = ['--user', 'segue', '--pass', 'local', '--no-auth-warning'];
  try {
    const ping = () => {
      try {
        return ask(...login, 'ping');
      } catch {
        return 'not yet';
      }
    };
    await expect.poll(ping, { timeout: 20_000 }).toBe('PONG');
    expect(() => ask('ping')).toThrow('NOAUTH');
    await use((...command) => ask(...login, ...command));
  } finally {
    redis.kill('SIGTERM');
    await once(redis, 'exit');
  }
}

it.skipIf(!server || !cli)('what the apps have written is there after a restart of Redis', async () => {
  const write = `redis.call('SET', KEYS[1], 'one') return redis.call('SET', KEYS[2], 'two')`;
  await withRedis((ask) => void ask('EVAL', write, '2', '{segue}:one', '{segue}:two'));
  await withRedis((ask) => {
    expect([ask('GET', '{segue}:one'), ask('GET', '{segue}:two')]).toEqual(['one', 'two']);
  });
});
