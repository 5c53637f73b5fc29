import { RedisCluster } from '@segue/local-system';
import { KEYS, openRedis, type RedisConnection } from '@segue/redis';
import { everywhere, masterOf } from '@segue/testing';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { Pictures } from './pictures.js';

const log = { info: () => undefined, warn: () => undefined, error: () => undefined };
const SIZE = { width: 30, height: 20 };
const picture = (fill: number) => new Uint8Array(100_000).fill(fill);

let cluster: RedisCluster;
let connection: RedisConnection;
let pictures: Pictures;
beforeAll(async () => {
  cluster = await RedisCluster.start({ nodeTimeoutMs: 1_000 });
  connection = openRedis({ url: cluster.url, role: 'worker', log });
  pictures = new Pictures(connection, { keepMs: 60_000 });
});
afterEach(() => everywhere(connection.client, (redis) => redis.flushall(), 'master'));
afterAll(async () => {
  connection.close();
  await cluster.stop();
});

const portOf = async (imageId: string) =>
  (await masterOf(connection.client, KEYS.picture(imageId, connection.client))).options.port;

test('pictures are kept by all masters, each whole', async () => {
  const ids = await Promise.all(Array.from({ length: 30 }, (_, fill) => pictures.put(picture(fill), SIZE)));
  expect(new Set(await Promise.all(ids.map(portOf))).size).toBe(3);
  for (const count of await everywhere(connection.client, (redis) => redis.dbsize(), 'master')) {
    expect(count).toBeGreaterThan(0);
  }
  for (const [fill, id] of ids.entries()) {
    expect(Buffer.compare(await pictures.get(id), picture(fill))).toBe(0);
    expect(await pictures.sizeOf(id)).toEqual(SIZE);
  }
});

test("a tenant's pictures are counted together, and every use renews where they are counted", async () => {
  const acme = { name: 'acme', limits: { pictureBytes: 350_000 } };
  const ids = [];
  for (const fill of [1, 2, 3]) ids.push(await pictures.put(picture(fill), SIZE, { owner: acme }));
  await expect(pictures.put(picture(4), SIZE, { owner: acme })).rejects.toMatchObject({ code: 'RESOURCE_EXHAUSTED' });
  expect(await pictures.storedBytes(acme)).toBe(300_000);
  const counted = KEYS.tenantPictures('acme');
  for (const id of ids) {
    await connection.client.zadd(counted, Date.now() + 1_000, id);
    await pictures.get(id, { tenant: 'acme' });
    expect(Number(await connection.client.zscore(counted, id))).toBeGreaterThan(Date.now() + 30_000);
  }
});

test('a master that is full refuses its pictures alone', async () => {
  const { client } = connection;
  const id = await pictures.put(picture(0), SIZE);
  const full = await masterOf(client, KEYS.picture(id, client));
  await full.config('SET', 'maxmemory', '1mb'); // less than it uses by itself
  const outcomes = await Promise.allSettled(
    Array.from({ length: 30 }, async (_, fill) => portOf(await pictures.put(picture(fill + 1), SIZE))),
  );
  await full.config('SET', 'maxmemory', '0');
  const stored = outcomes.flatMap((outcome) => (outcome.status === 'fulfilled' ? [outcome.value] : []));
  const refused = outcomes.flatMap((outcome) => (outcome.status === 'rejected' ? [outcome.reason as unknown] : []));
  expect(new Set(stored).size).toBe(2);
  expect(stored).not.toContain(full.options.port);
  expect(refused.length).toBeGreaterThan(0);
  for (const error of refused) expect(error).toMatchObject({ code: 'RESOURCE_EXHAUSTED' });
});

test('pictures of a master that is lost are there again with its replica', async () => {
  const id = await pictures.put(picture(7), SIZE);
  const key = KEYS.picture(id, connection.client);
  expect(await (await masterOf(connection.client, key)).wait(1, 5_000)).toBe(1);
  const master = await cluster.masterOf(key);
  await master.program.kill();
  expect(Buffer.compare(await pictures.get(id), picture(7))).toBe(0);
  expect(await portOf(id)).not.toBe(master.port);
});
