import { openRedis, PREFIX, type RedisConnection } from '@segue/redis';
import { everywhere, masterOf, startRedis } from '@segue/testing';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';

import { TensorClient } from './tensor-client.js';
import { TensorDirectory } from './tensor-directory.js';
import { startTensorHost, type TensorHost } from './tensor-host.js';

let server: Awaited<ReturnType<typeof startRedis>>;
let connection: RedisConnection;
let redis: RedisConnection['client'];
beforeAll(async () => {
  server = await startRedis();
  connection = openRedis({ url: server.url, role: 'worker', log: console });
  redis = connection.client;
});
afterAll(async () => {
  connection.close();
  await server.stop();
});

const { signal } = new AbortController();
const hosts: TensorHost[] = [];
afterEach(async () => {
  for (const host of hosts.splice(0)) await host.close({ graceMs: 0 });
  await everywhere(redis, (node) => node.flushall(), 'master');
});

async function startHost(directory: TensorDirectory, maxBytes = 1_000): Promise<TensorHost> {
  const host = await startTensorHost({
    directory,
    maxBytes,
    listenHost: '127.0.0.1',
    port: 0,
    host: '127.0.0.1',
    onError: (error) => expect.unreachable(String(error)),
  });
  hosts.push(host);
  return host;
}

const keys = async () => (await masterOf(redis, PREFIX)).keys('*');

const set = (length: number) => ({
  x: { dtype: 'uint8' as const, shape: [length], data: new Uint8Array(length).fill(length) },
});

test('what a host holds is found, and pulled from it', async () => {
  const directory = new TensorDirectory(connection);
  const host = await startHost(directory);
  await host.put('k', set(5));
  const owner = await directory.find('k');
  expect(owner).toBe(host.owner);
  const client = new TensorClient({ directory });
  expect(await client.pull(owner!, 'k', ['x'], { deadlineAtMs: Date.now() + 5_000, signal })).toEqual(set(5));
  client.close();
  expect(await directory.find('other')).toBeUndefined();
});

test('what was pushed out is not listed any more', async () => {
  const directory = new TensorDirectory(connection);
  const host = await startHost(directory);
  await host.put('a', set(600));
  await host.put('b', set(600));
  expect(await directory.find('a')).toBeUndefined();
  expect(await directory.find('b')).toBe(host.owner);
  await host.put('a', set(600));
  expect(await directory.find('a')).toBe(host.owner);
  await expect(host.put('c', set(1_001))).rejects.toThrow('do not fit');
});

test('a host that stops takes its entries with it', async () => {
  const directory = new TensorDirectory(connection);
  const [first, second] = [await startHost(directory), await startHost(directory)];
  await first.put('k', set(5));
  await second.put('k', set(5));
  await first.close({ graceMs: 0 });
  expect(await directory.find('k')).toBe(second.owner);
  await second.close({ graceMs: 0 });
  expect(await keys()).toEqual([]);
});

test('an owner whose heart has stopped is not found any more', async () => {
  const directory = new TensorDirectory(connection, { beatMs: 50 });
  const pulse = await directory.keepAlive('10.0.0.1:1');
  await directory.publish('k', '10.0.0.1:1');
  await new Promise((resolve) => setTimeout(resolve, 400));
  expect(await directory.find('k')).toBe('10.0.0.1:1');
  await pulse.stop();
  expect(await directory.find('k')).toBeUndefined();

  await redis.set('{segue}:tensor-owner:10.0.0.2:1', '', 'PX', 150); // A last beat before a kill -9.
  await directory.publish('k', '10.0.0.2:1');
  expect(await directory.find('k')).toBe('10.0.0.2:1');
  await new Promise((resolve) => setTimeout(resolve, 200));
  expect(await directory.find('k')).toBeUndefined();
});

test('an owner that is listed but holds nothing is struck off by the first pull', async () => {
  const directory = new TensorDirectory(connection);
  const host = await startHost(directory);
  await directory.publish('k', host.owner);
  const client = new TensorClient({ directory });
  await expect(client.pull(host.owner, 'k', ['x'], { deadlineAtMs: Date.now() + 5_000, signal })).rejects.toMatchObject(
    {
      reason: 'TENSOR_GONE',
    },
  );
  client.close();
  expect(await directory.find('k')).toBeUndefined();
});

test('an entry that is used lives on', async () => {
  const directory = new TensorDirectory(connection, { keepMs: 60_000 });
  const host = await startHost(directory);
  await host.put('k', set(5));
  await redis.pexpire('{segue}:tensors:k', 1_000);
  expect(await directory.find('k')).toBe(host.owner);
  expect(await redis.pttl('{segue}:tensors:k')).toBeGreaterThan(1_000);
});

test('what is announced is told to one of those who watch, until they stop', async () => {
  const directory = new TensorDirectory(connection);
  const told: string[] = [];
  const watchers = [0, 1].map((who) =>
    directory.watch(({ key, owner, cached }) => {
      told.push(`${key} ${owner} ${cached}`);
      return who === 0 ? Promise.resolve() : Promise.reject(new Error('could not'));
    }),
  );
  for (const key of ['a', 'b', 'c']) await directory.announce({ key, owner: '10.0.0.1:1', cached: false });
  await expect.poll(() => told.sort()).toEqual(['a', 'b', 'c'].map((key) => `${key} 10.0.0.1:1 false`));
  await Promise.all(watchers.map((watcher) => watcher.stop()));
  await directory.announce({ key: 'd', owner: '10.0.0.1:1', cached: false });
  expect(await redis.llen('{segue}:new-tensors')).toBe(1);
  expect(await redis.pttl('{segue}:new-tensors')).toBeGreaterThan(0);
});

test('every key has a lifetime', async () => {
  const directory = new TensorDirectory(connection, { keepMs: 60_000 });
  const host = await startHost(directory);
  await host.put('k', set(5));
  await directory.announce({ key: 'k', owner: host.owner, cached: false });
  const all = await keys();
  expect(all).toHaveLength(3);
  for (const key of all) expect(await redis.pttl(key)).toBeGreaterThan(0);
});
