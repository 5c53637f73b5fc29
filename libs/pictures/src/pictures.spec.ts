import { createHash } from 'node:crypto';
import { mkdtemp, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { openBlobs } from '@segue/blobs';
import type { Blobs } from '@segue/core';
import { RedisServer, S3Server } from '@segue/local-system';
import { KEYS, openRedis, type RedisConnection } from '@segue/redis';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest';
import { startPictureSweep } from './picture-sweep.js';
import { Pictures } from './pictures.js';

const bytes = Uint8Array.from({ length: 300_000 }, (_, i) => i * 7);
const imageId = createHash('sha256').update(bytes).digest('hex');
const warned: string[] = [];
const log = {
  info: () => undefined,
  warn: (_: unknown, message: string) => warned.push(message),
  error: () => undefined,
};
const SIZE = { width: 30, height: 20 };
const acme = { name: 'acme', limits: {} };

let server: RedisServer;
let connection: RedisConnection;
let folder: string;
let s3: S3Server;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'segue-pictures-'));
  server = await RedisServer.start();
  connection = openRedis({ url: server.url, role: 'worker', log });
  if (!S3Server.isInstalled) return;
  s3 = await S3Server.start();
  for (const [name, value] of Object.entries(s3.env)) vi.stubEnv(name, value);
});
afterEach(async () => {
  warned.length = 0;
  await connection.client.config('SET', 'maxmemory', '0');
  await connection.client.flushall();
});
afterAll(async () => {
  connection.close();
  await server.stop();
  await rm(folder, { recursive: true });
  if (S3Server.isInstalled) await s3.stop();
});

interface Kind {
  readonly kind: string;
  readonly address: () => string;
  /** Takes the store away; what it returns brings it back. */
  readonly takeAway?: () => Promise<() => Promise<void>>;
  /** Where the bytes lie as files. */
  readonly files?: () => string;
}

const KINDS: readonly Kind[] = [
  { kind: 'in Redis', address: () => 'redis://' },
  {
    kind: 'in a folder',
    address: () => pathToFileURL(folder).href,
    async takeAway() {
      await rename(folder, `${folder}-away`);
      return () => rename(`${folder}-away`, folder);
    },
    files: () => folder,
  },
  {
    kind: 'in S3',
    address: () => s3.address(),
    async takeAway() {
      await s3.kill();
      return () => s3.restart();
    },
    files: () => join(s3.bucketFolder, 'segue'),
  },
];

const outside = KINDS.filter(({ takeAway }) => takeAway);

describe.each(KINDS)('pictures $kind', ({ kind, address, takeAway, files }) => {
  describe.skipIf(kind === 'in S3' && !S3Server.isInstalled)('', () => {
    let blobs: Blobs | undefined;
    let pictures: Pictures;
    beforeEach(async () => ({ blobs, pictures } = await open(address(), { keepMs: 60_000, patienceMs: 200 })));
    afterEach(async () => {
      if (files) await Promise.all((await names(files())).map((name) => rm(join(files(), name))));
      blobs?.close();
    });

    test('one is found by its hash, byte for byte', async () => {
      expect(await pictures.put(bytes, SIZE)).toBe(imageId);
      expect(await pictures.put(bytes, SIZE)).toBe(imageId);
      expect(Buffer.compare(await pictures.get(imageId), bytes)).toBe(0);
      expect(await pictures.sizeOf(imageId)).toEqual(SIZE);
      expect(files ? await names(files()) : ['none']).toHaveLength(1);
    });

    test('a large one has the same kind of id', async () => {
      const large = new Uint8Array(3_000_000).fill(7);
      const id = await pictures.put(large, SIZE);
      expect(id).toBe(createHash('sha256').update(large).digest('hex'));
      expect(Buffer.compare(await pictures.get(id), large)).toBe(0);
    });

    test('every use renews its lifetime, which ends', async () => {
      await pictures.put(bytes, SIZE);
      const uses = [() => pictures.get(imageId), () => pictures.sizeOf(imageId), () => pictures.put(bytes, SIZE)];
      for (const use of uses) {
        await connection.client.pexpire(KEYS.picture(imageId, connection.client), 30_000);
        await use();
        expect(await connection.client.pttl(KEYS.picture(imageId, connection.client))).toBeGreaterThan(30_000);
      }
      await connection.client.pexpire(KEYS.picture(imageId, connection.client), 1);
      await expect.poll(() => connection.client.dbsize()).toBe(0);
      await expect(pictures.get(imageId)).rejects.toMatchObject({ code: 'NOT_FOUND' });
      await expect(pictures.sizeOf(imageId)).rejects.toMatchObject({ code: 'NOT_FOUND' });
      expect(await pictures.put(bytes, SIZE)).toBe(imageId);
      expect(Buffer.compare(await pictures.get(imageId), bytes)).toBe(0);
    });

    test('one is there for its tenant and for workers alone', async () => {
      const id = await pictures.put(bytes, SIZE, { owner: acme });
      expect(id).not.toBe(imageId);
      expect(Buffer.compare(await pictures.get(id, { tenant: 'acme' }), bytes)).toBe(0);
      expect(Buffer.compare(await pictures.get(id), bytes)).toBe(0);
      await expect(pictures.get(id, { tenant: 'bolt' })).rejects.toMatchObject({ code: 'NOT_FOUND' });
      await expect(pictures.sizeOf(id, 'public')).rejects.toMatchObject({ code: 'NOT_FOUND' });
    });

    test('one of a version without tenants is that of whoever need not say who it is', async () => {
      await connection.client.hset(KEYS.picture(imageId, connection.client), { bytes: Buffer.from(bytes), ...SIZE });
      expect(Buffer.compare(await pictures.get(imageId, { tenant: 'public' }), bytes)).toBe(0);
      await expect(pictures.get(imageId, { tenant: 'acme' })).rejects.toMatchObject({ code: 'NOT_FOUND' });
    });

    test('the bytes of a tenant are counted as long as its pictures live', async () => {
      const owner = { name: 'acme', limits: { pictureBytes: 250 } };
      const put = (fill: number) => pictures.put(new Uint8Array(100).fill(fill), SIZE, { owner });
      const [first, second] = [await put(1), await put(2)];
      await expect(put(3)).rejects.toMatchObject({ code: 'RESOURCE_EXHAUSTED', retryAfterMs: expect.any(Number) });
      expect(await put(1)).toBe(first);
      expect(await pictures.storedBytes(owner)).toBe(200);
      const counted = KEYS.tenantPictures('acme');
      await connection.client.zadd(counted, Date.now() - 1, second);
      await put(3);
      expect(await connection.client.hget(`${counted}:bytes`, 'total')).toBe('200');
    });

    test('they leave room in Redis for jobs', async () => {
      const used = Number(/^used_memory:(\d+)/m.exec(await connection.client.info('memory'))?.[1]);
      await connection.client.config('SET', 'maxmemory', String(used + 20_000_000));
      const put = async (i: number) => pictures.put(new Uint8Array(1_000_000).fill(i), SIZE);
      let stored = 0;
      const refused = await (async () => {
        for (; stored < 30; stored++) await put(stored);
        return undefined;
      })().catch((error: unknown) => error);
      const full: unknown = expect.objectContaining({ code: 'RESOURCE_EXHAUSTED', retryAfterMs: 60_000 });
      expect(refused).toEqual(takeAway ? undefined : full);
      expect(stored).toBeGreaterThan(5);
      expect(await put(0)).toMatch(/^[0-9a-f]{64}$/); // kept already
      expect(await connection.client.set('job', 'x')).toBe('OK');
      await connection.client.config('SET', 'maxmemory', String(used));
      await expect(put(31)).rejects.toMatchObject({ code: 'RESOURCE_EXHAUSTED' });
    });

    test('without Redis a producer hears so at once', async () => {
      const own = await RedisServer.start();
      const producer = openRedis({ url: own.url, role: 'producer', log });
      const lost = new Pictures(producer, { keepMs: 1_000, blobs });
      await expect.poll(() => producer.ping()).toBe(true);
      await own.stop();
      await expect.poll(() => producer.ping()).toBe(false);
      await expect(lost.put(new Uint8Array(3), SIZE)).rejects.toMatchObject({ code: 'UNAVAILABLE' });
      await expect(lost.get(imageId)).rejects.toMatchObject({ code: 'UNAVAILABLE' });
      producer.close();
    });

    test('what is no image id is not found', async () => {
      for (const id of ['x', `${imageId}:x`, '../../../etc/passwd', `../${imageId.slice(3)}`]) {
        await expect(pictures.get(id)).rejects.toMatchObject({ code: 'NOT_FOUND' });
        await expect(pictures.sizeOf(id)).rejects.toMatchObject({ code: 'NOT_FOUND' });
      }
    });
  });
});

describe.each(outside)('pictures $kind, outside of Redis,', ({ kind, address, takeAway, files }) => {
  describe.skipIf(kind === 'in S3' && !S3Server.isInstalled)('', () => {
    let blobs: Blobs | undefined;
    let pictures: Pictures;
    const fileNames = () => names(files?.() ?? '');
    let comeBack = () => Promise.resolve();
    const openPatient = (patienceMs: number) => open(address(), { keepMs: 60_000, patienceMs });
    const leave = async () => {
      const back = await takeAway!();
      comeBack = async () => {
        comeBack = () => Promise.resolve();
        await back();
      };
    };
    beforeEach(async () => ({ blobs, pictures } = await openPatient(200)));
    afterEach(async () => {
      await comeBack();
      await Promise.all((await fileNames()).map((name) => rm(join(files?.() ?? '', name))));
      blobs?.close();
    });

    test('take some hundred bytes of Redis each', async () => {
      await pictures.put(bytes, SIZE, { owner: acme });
      const [key = ''] = await connection.client.keys('*');
      expect(await connection.client.memory('USAGE', key)).toBeLessThan(600);
    });

    test('are deleted when their lifetime is over, and not before', async () => {
      const other = await pictures.put(new Uint8Array(9), SIZE);
      const [name = ''] = await fileNames();
      await pictures.put(bytes, SIZE);
      await writeFile(join(files?.() ?? '', 'others.txt'), 'not ours');
      await writeFile(join(files?.() ?? '', `${name}-0b2d4c1e-9f6a`), 'what a process left that died while it wrote');
      await connection.client.set(KEYS.picture(imageId, connection.client), 'no record');
      const all = await fileNames();
      const young = startPictureSweep(connection, blobs!, { keepMs: 60_000, everyMs: 10 });
      await sleep(100);
      await young.stop();
      expect(await fileNames()).toEqual(all);
      const sweeping = startPictureSweep(connection, blobs!, { keepMs: 50, everyMs: 10 });
      onTestFinished(() => sweeping.stop());
      await expect.poll(fileNames, { timeout: 10_000 }).toEqual([name, 'others.txt']);
      expect(await pictures.get(other)).toHaveLength(9);
      await connection.client.del(KEYS.picture(other, connection.client));
      await expect.poll(fileNames, { timeout: 10_000 }).toEqual(['others.txt']);
      await sweeping.stop(); // before its store is closed
      expect(warned).toEqual([]);
    });

    test('whose bytes are damaged or gone are not found, and stored when they are sent again', async () => {
      const damages = [(path: string) => writeFile(path, bytes.subarray(1)), (path: string) => rm(path)];
      for (const damage of damages) {
        await pictures.put(bytes, SIZE);
        for (const name of await fileNames()) await damage(join(files?.() ?? '', name));
        await expect(pictures.get(imageId)).rejects.toMatchObject({ code: 'NOT_FOUND' });
        await expect(pictures.sizeOf(imageId)).rejects.toMatchObject({ code: 'NOT_FOUND' });
        await pictures.put(bytes, SIZE);
        expect(Buffer.compare(await pictures.get(imageId), bytes)).toBe(0);
      }
      expect(warned).toEqual([expect.stringContaining('damaged'), expect.stringContaining('gone')]);
    });

    test('are read from where Redis says, and nowhere else', async () => {
      await pictures.put(bytes, SIZE);
      await connection.client.hset(KEYS.picture(imageId, connection.client), 'blob', '../../../../etc/passwd');
      await expect(pictures.get(imageId)).rejects.toMatchObject({ code: 'NOT_FOUND' });
    });

    test('make a producer hear at once that their store is away, and count for nothing', async () => {
      const owner = { name: 'acme', limits: { pictureBytes: 1_000_000 } };
      const id = await pictures.put(bytes, SIZE, { owner });
      await leave();
      const startedAt = performance.now();
      const away = { code: 'UNAVAILABLE', reason: 'STORE_AWAY', retryAfterMs: expect.any(Number) };
      await expect(pictures.put(new Uint8Array(3), SIZE, { owner })).rejects.toMatchObject(away);
      await expect(pictures.get(id)).rejects.toMatchObject(away);
      expect(performance.now() - startedAt).toBeLessThan(10_000);
      expect(await pictures.storedBytes(owner)).toBe(bytes.byteLength);
      await comeBack();
      expect(Buffer.compare(await pictures.get(id), bytes)).toBe(0);
    });

    test('are waited for by workers until their store is back', async () => {
      const worker = await openPatient(60_000);
      const id = await pictures.put(bytes, SIZE);
      await leave();
      const read = worker.pictures.get(id);
      const written = worker.pictures.put(new Uint8Array(5), SIZE);
      await sleep(300);
      await comeBack();
      expect(Buffer.compare(await read, bytes)).toBe(0);
      expect(await worker.pictures.get(await written)).toHaveLength(5);
      expect(warned).toEqual(['the picture store is away; trying again']);
      worker.blobs?.close();
    });

    test('are waited for no longer than anybody wants them, or the process goes on', async () => {
      const worker = await openPatient(60_000);
      const id = await pictures.put(bytes, SIZE);
      await leave();
      const enough = new AbortController();
      const reading = [enough.signal, undefined].map((signal) => worker.pictures.get(id, { signal }));
      const results = Promise.allSettled(reading);
      await sleep(50);
      enough.abort(new Error('its job was cancelled'));
      worker.blobs?.close();
      const [cancelled, stopped] = (await results).map((result) => result.status === 'rejected' && result.reason);
      expect(String(cancelled)).toBe('Error: its job was cancelled');
      expect(stopped).toMatchObject({ code: 'UNAVAILABLE' });
      await comeBack();
    });

    test('are told apart from those of a process that keeps its own in Redis', async () => {
      const id = await pictures.put(bytes, SIZE);
      const { pictures: inRedis } = await open('redis://', { keepMs: 60_000, patienceMs: 0 });
      expect(await inRedis.sizeOf(id)).toEqual(SIZE);
      const refused = await inRedis.get(id).catch((error: Error) => error);
      expect(refused).toMatchObject({ code: 'UNAVAILABLE' });
      expect(String((refused as Error).cause)).toContain('SEGUE_PICTURE_STORE');
      expect(await inRedis.put(bytes, SIZE)).toBe(id);
      expect(Buffer.compare(await inRedis.get(id), bytes)).toBe(0);
    });
  });
});

async function open(address: string, { keepMs, patienceMs }: { readonly keepMs: number; readonly patienceMs: number }) {
  const blobs = await openBlobs(address, { patienceMs, log });
  return { blobs, pictures: new Pictures(connection, { keepMs, blobs }) };
}

/** The files of a folder and of those in it. */
async function names(root: string): Promise<string[]> {
  const entries = await readdir(root, { recursive: true, withFileTypes: true }).catch(() => []);
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(root.length + 1))
    .sort();
}
