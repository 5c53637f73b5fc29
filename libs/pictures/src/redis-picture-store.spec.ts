import { createHash } from 'node:crypto';
import { KEYS, openRedis, type RedisConnection } from '@segue/redis';
import { RedisServer } from '@segue/local-system';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { RedisPictureStore } from './redis-picture-store.js';

const bytes = Uint8Array.from({ length: 300_000 }, (_, i) => i * 7);
const imageId = createHash('sha256').update(bytes).digest('hex');
const log = { info: () => undefined, warn: () => undefined, error: () => undefined };
const SIZE = { width: 30, height: 20 };

let server: RedisServer;
let connection: RedisConnection;
beforeAll(async () => {
  server = await RedisServer.start();
  connection = openRedis({ url: server.url, role: 'worker', log });
});
afterEach(async () => {
  await connection.client.config('SET', 'maxmemory', '0');
  await connection.client.flushall();
});
afterAll(async () => {
  connection.close();
  await server.stop();
});

const store = (keepMs = 60_000) => new RedisPictureStore(connection, { keepMs });

test('a picture is found by its hash, byte for byte', async () => {
  const pictures = store();
  expect(await pictures.put(bytes, SIZE)).toBe(imageId);
  expect(await pictures.put(bytes, SIZE)).toBe(imageId);
  expect(Buffer.compare(await pictures.get(imageId), bytes)).toBe(0);
  expect(await pictures.sizeOf(imageId)).toEqual(SIZE);
});

test('a large picture has the same kind of id', async () => {
  const large = new Uint8Array(3_000_000).fill(7);
  expect(await store().put(large, SIZE)).toBe(createHash('sha256').update(large).digest('hex'));
});

test('every use renews its lifetime, which ends', async () => {
  const pictures = store(60_000);
  await pictures.put(bytes, SIZE);
  const uses = [() => pictures.get(imageId), () => pictures.sizeOf(imageId), () => pictures.put(bytes, SIZE)];
  for (const use of uses) {
    await connection.client.pexpire(KEYS.picture(imageId), 30_000);
    await use();
    expect(await connection.client.pttl(KEYS.picture(imageId))).toBeGreaterThan(30_000);
  }
  await connection.client.pexpire(KEYS.picture(imageId), 1);
  await expect.poll(() => connection.client.dbsize()).toBe(0);
  await expect(pictures.get(imageId)).rejects.toMatchObject({ code: 'NOT_FOUND' });
});

test('pictures leave room for jobs', async () => {
  const pictures = store();
  const used = Number(/^used_memory:(\d+)/m.exec(await connection.client.info('memory'))?.[1]);
  await connection.client.config('SET', 'maxmemory', String(used + 20_000_000));
  const put = async (i: number) => pictures.put(new Uint8Array(1_000_000).fill(i), SIZE);
  let stored = 0;
  const refused = await (async () => {
    for (; stored < 30; stored++) await put(stored);
    return undefined;
  })().catch((error: unknown) => error);
  expect(refused).toMatchObject({ code: 'RESOURCE_EXHAUSTED', retryAfterMs: 60_000 });
  expect(stored).toBeGreaterThan(5);
  expect(await put(0)).toMatch(/^[0-9a-f]{64}$/); // kept already
  expect(await connection.client.set('job', 'x')).toBe('OK');
});

test('a picture is there for its tenant and for workers alone', async () => {
  const pictures = store();
  const acme = { name: 'acme', limits: {} };
  const id = await pictures.put(bytes, SIZE, acme);
  expect(id).not.toBe(imageId);
  expect(Buffer.compare(await pictures.get(id, 'acme'), bytes)).toBe(0);
  expect(Buffer.compare(await pictures.get(id), bytes)).toBe(0);
  await expect(pictures.get(id, 'bolt')).rejects.toMatchObject({ code: 'NOT_FOUND' });
  await expect(pictures.sizeOf(id, 'public')).rejects.toMatchObject({ code: 'NOT_FOUND' });
});

test('a picture of a version without tenants is that of whoever need not say who it is', async () => {
  await connection.client.hset(KEYS.picture(imageId), { bytes: Buffer.from(bytes), ...SIZE });
  expect(await store().sizeOf(imageId, 'public')).toEqual(SIZE);
  await expect(store().get(imageId, 'acme')).rejects.toMatchObject({ code: 'NOT_FOUND' });
});

test('the bytes of a tenant are counted as long as its pictures live', async () => {
  const pictures = store(60_000);
  const acme = { name: 'acme', limits: { pictureBytes: 250 } };
  const put = (fill: number) => pictures.put(new Uint8Array(100).fill(fill), SIZE, acme);
  const [first, second] = [await put(1), await put(2)];
  await expect(put(3)).rejects.toMatchObject({ code: 'RESOURCE_EXHAUSTED', retryAfterMs: expect.any(Number) });
  expect(await put(1)).toBe(first);
  const counted = KEYS.tenantPictures('acme');
  await connection.client.zadd(counted, Date.now() - 1, second);
  await put(3);
  expect(await connection.client.hget(`${counted}:bytes`, 'total')).toBe('200');
});

test('without Redis a producer hears so at once', async () => {
  const own = await RedisServer.start();
  const producer = openRedis({ url: own.url, role: 'producer', log });
  const pictures = new RedisPictureStore(producer, { keepMs: 1_000 });
  await expect.poll(() => producer.ping()).toBe(true);
  await own.stop();
  await expect.poll(() => producer.ping()).toBe(false);
  await expect(pictures.put(new Uint8Array(3), SIZE)).rejects.toMatchObject({ code: 'UNAVAILABLE' });
  await expect(pictures.get(imageId)).rejects.toMatchObject({ code: 'UNAVAILABLE' });
  producer.close();
});

test('what is no image id is not found', async () => {
  const pictures = store();
  await expect(pictures.get('x')).rejects.toMatchObject({ code: 'NOT_FOUND' });
  await expect(pictures.sizeOf(`${imageId}:x`)).rejects.toMatchObject({ code: 'NOT_FOUND' });
});
