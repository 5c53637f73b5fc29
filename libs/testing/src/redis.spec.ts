import { readdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';

import { Redis } from 'ioredis';
import { afterEach, expect, test, vi } from 'vitest';

import { startRedis } from './redis.js';

afterEach(() => vi.unstubAllEnvs());

const folders = async () => (await readdir(tmpdir())).filter((name) => name.startsWith('segue-redis-'));

test('starts a Redis that evicts nothing, and leaves nothing behind', async () => {
  const before = await folders();
  const server = await startRedis();
  const redis = new Redis(server.url);
  expect(await redis.config('GET', 'maxmemory-policy')).toEqual(['maxmemory-policy', 'noeviction']);
  expect(await redis.dbsize()).toBe(0);
  redis.disconnect();

  await server.stop();

  expect(() => process.kill(server.pid, 0)).toThrow('ESRCH');
  expect((await folders()).filter((name) => !before.includes(name))).toEqual([]);
});

test('starts several side by side', async () => {
  const servers = await Promise.all([startRedis(), startRedis()]);
  expect(new Set(servers.map((server) => server.url)).size).toBe(2);
  await Promise.all(servers.map((server) => server.stop()));
});

test('says what to do when there is no server', async () => {
  vi.stubEnv('PATH', '/nonexistent');
  await expect(startRedis()).rejects.toThrow(/neither redis-server nor valkey-server is on the PATH.*Install one/s);
});
