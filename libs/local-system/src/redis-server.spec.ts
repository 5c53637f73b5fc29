import { readdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { Redis } from 'ioredis';
import { afterEach, expect, test, vi } from 'vitest';
import { RedisServer } from './redis-server.js';

afterEach(() => vi.unstubAllEnvs());

const folders = async () => (await readdir(tmpdir())).filter((name) => name.startsWith('segue-redis-'));

test('starts a Redis that evicts nothing, and leaves nothing behind', async () => {
  const before = await folders();
  const server = await RedisServer.start();
  const redis = new Redis(server.url);
  expect(await redis.config('GET', 'maxmemory-policy')).toEqual(['maxmemory-policy', 'noeviction']);
  expect(await redis.dbsize()).toBe(0);
  redis.disconnect();
  const pid = server.program.pid ?? NaN;

  await server.stop();

  expect(() => process.kill(pid, 0)).toThrow('ESRCH');
  expect((await folders()).filter((name) => !before.includes(name))).toEqual([]);
});

test('starts several side by side', async () => {
  const servers = await Promise.all([RedisServer.start(), RedisServer.start()]);
  expect(new Set(servers.map((server) => server.url)).size).toBe(2);
  await Promise.all(servers.map((server) => server.stop()));
});

test('a durable one has its data again after a crash', async () => {
  const server = await RedisServer.start({ durable: true });
  const redis = new Redis(server.url);
  await redis.set('kept', 'yes');

  await server.restart();

  expect(await redis.get('kept')).toBe('yes');
  redis.disconnect();
  await server.stop();
});

test('a durable one refuses writes while its disk is full, and loses nothing', async () => {
  const server = await RedisServer.start({ durable: true });
  const redis = new Redis(server.url);
  const write = (key: string) => redis.set(key, 'yes').catch(({ message }: Error) => message);
  await write('before');
  await server.fillDisk();
  await expect.poll(() => write('while'), { timeout: 10_000 }).toMatch(/^MISCONF/);
  expect(await redis.get('before')).toBe('yes');
  await server.freeDisk();
  await expect.poll(() => write('after'), { timeout: 10_000 }).toBe('OK');
  await expect.poll(() => redis.info('persistence')).toContain('aof_buffer_length:0'); // it may be waiting for the disk
  await server.restart();
  expect(await redis.mget('before', 'after')).toEqual(['yes', 'yes']);
  redis.disconnect();
  await server.stop();
});

test('says what to do when there is no server', async () => {
  vi.stubEnv('PATH', '/nonexistent');
  await expect(RedisServer.start()).rejects.toThrow(
    /neither redis-server nor valkey-server is on the PATH.*Install one/s,
  );
});
