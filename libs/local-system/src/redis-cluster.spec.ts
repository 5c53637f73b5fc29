import { Cluster } from 'ioredis';
import { afterEach, expect, test, vi } from 'vitest';
import { RedisCluster } from './redis-cluster.js';

afterEach(() => vi.unstubAllEnvs());

test('starts three masters with a replica each, of which one takes the place of a master that is lost', async () => {
  const cluster = await RedisCluster.start({ nodeTimeoutMs: 1_000 });
  expect(cluster.nodes).toHaveLength(6);
  const redis = new Cluster(cluster.nodes.map(({ port }) => ({ host: '127.0.0.1', port })));
  for (let i = 0; i < 100; i++) expect(await redis.set(`key ${i}`, 'x')).toBe('OK');
  expect(redis.nodes('master')).toHaveLength(3);
  expect(redis.nodes('slave')).toHaveLength(3);

  const master = await cluster.masterOf('key 7');
  await master.program.kill();
  await expect.poll(async () => (await cluster.masterOf('key 7')) !== master, { timeout: 10_000 }).toBe(true);
  expect(await redis.get('key 7')).toBe('x');
  redis.disconnect();
  await cluster.stop();
  for (const { program } of cluster.nodes) expect(program.ended).toBe('was ended by SIGKILL');
});

test('says what to do when there is nothing to make a cluster with', async () => {
  vi.stubEnv('PATH', '/nonexistent');
  await expect(RedisCluster.start()).rejects.toThrow(/redis-cli.*Install one/s);
});
