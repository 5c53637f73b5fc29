import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { findProgram, freePort, RedisCluster } from '@segue/local-system';
import { SegueError } from '@segue/core';
import { Jobs } from '@segue/jobs';
import { Pictures } from '@segue/pictures';
import { openRedis } from '@segue/redis';
import { everywhere, SAMPLE_REQUEST } from '@segue/testing';

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

const log = { info: () => undefined, warn: () => undefined, error: () => undefined };

it.skipIf(!server || !cli)('the user of the apps may all that they do, also on a cluster', async () => {
  const [, rules = ''] = /^user segue (.*)$/m.exec(readFileSync(ACL, 'utf8')) ?? [];
  const cluster = await RedisCluster.start();
  const admin = openRedis({ url: cluster.url, role: 'worker', log });
  await everywhere(admin.client, (redis) => redis.acl('SETUSER', 'segue', ...rules.split(' ')));
  const redis = openRedis({ url: cluster.url.replace('//', '//segue:local@'), role: 'worker', log });
  const jobs = new Jobs(redis, { jobKeepMs: 60_000 });
  const pictures = new Pictures(redis, { keepMs: 60_000 });
  const encoder = jobs.stageHost({
    stage: 'encode',
    concurrency: 1,
    process: () => Promise.reject(new SegueError('PERMISSION_DENIED', 'seen')),
  });
  try {
    await encoder.start();
    const limits = { pictureBytes: 1_000_000 };
    const ids = Array.from({ length: 20 }, (_, fill) =>
      pictures.put(new Uint8Array(100).fill(fill), { width: 1, height: 1 }, { owner: { name: 'acme', limits } }),
    );
    for (const id of await Promise.all(ids)) expect((await pictures.get(id, { tenant: 'acme' })).byteLength).toBe(100);
    const { jobId } = await jobs.submit({ request: SAMPLE_REQUEST, timeoutMs: 20_000 });
    const types: string[] = [];
    for await (const { type } of jobs.events(jobId)) types.push(type);
    expect(types).toEqual(['accepted', 'stage', 'failed']);
    expect((await jobs.get(jobId)).error).toMatchObject({ message: 'seen' });
    expect(await jobs.memoryUse()).toBe(0);
    await expect(redis.client.set('{other}:key', 'x')).rejects.toThrow('NOPERM');
  } finally {
    await encoder.close({ graceMs: 0 });
    await jobs.close();
    redis.close();
    admin.close();
    await cluster.stop();
  }
});
