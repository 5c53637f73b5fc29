import { mkdtemp, readdir, rename, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { SegueClient } from '@segue/client';
import type { Job } from '@segue/core';
import { S3Server } from '@segue/local-system';
import { Redis } from 'ioredis';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { content } from './content.js';
import { MANY_SEGMENTS, WIDE } from './pictures.js';
import { System } from './system.js';

/** Where the bytes of pictures are, and how that goes away and comes back. */
interface Store {
  readonly env: Readonly<Record<string, string>>;
  /** Files in it. */
  count(): Promise<number>;
  leave(): Promise<void>;
  comeBack(): Promise<void>;
  close(): Promise<void>;
}

async function startFolder(): Promise<Store> {
  const folder = await mkdtemp(join(tmpdir(), 'segue-store-'));
  return {
    env: { SEGUE_PICTURE_STORE: pathToFileURL(folder).href },
    count: () => countFiles(folder),
    leave: () => rename(folder, `${folder}-away`),
    comeBack: () => rename(`${folder}-away`, folder),
    close: () => rm(folder, { recursive: true }),
  };
}

async function startS3(): Promise<Store> {
  const server = await S3Server.start();
  return {
    env: { ...server.env, SEGUE_PICTURE_STORE: server.address() },
    count: () => countFiles(server.bucketFolder),
    leave: () => server.kill(),
    comeBack: () => server.restart(),
    close: () => server.stop(),
  };
}

async function countFiles(folder: string): Promise<number> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile()).length;
}

/** A picture of the size that cameras make, as nobody has sent it before. */
function newPhoto(): Promise<Buffer> {
  const noise = { type: 'gaussian', mean: 128, sigma: 40 } as const;
  const create = { width: 1_600, height: 1_200, channels: 3, background: 'black', noise } as const;
  return sharp({ create }).jpeg({ quality: 60 }).toBuffer();
}

/** Of each way to keep pictures, in a row, so that what grows with time does not count. */
const JOBS = 2;

describe.each([
  { kind: 'a folder', start: startFolder, sentence: 'There is no folder' },
  { kind: 'S3', start: startS3, sentence: 'S3 at http' },
])('with its pictures in $kind, the service', ({ kind, start, sentence }) => {
  describe.skipIf(kind === 'S3' && !S3Server.isInstalled)('', () => {
    const waited = new Set<string>();
    let store: Store;
    let system: System;
    let redis: Redis;
    /** Keeps pictures in Redis, as before a change of the setting. */
    let before: SegueClient;
    beforeAll(async () => {
      store = await start();
      await store.leave();
      const givenUp = new AbortController();
      const starting = System.start({
        signal: givenUp.signal,
        env: { ...store.env, SEGUE_LIST_PUBLIC_JOBS: 'on' },
        replicas: { gateway: 2 },
        envOf: (name) => (name === 'gateway-2' ? { SEGUE_PICTURE_STORE: 'redis://' } : {}),
        onLine: (name, line) => line.includes(`waiting: ${sentence}`) && waited.add(name),
      });
      const waiting = vi.waitUntil(() => waited.size === 2, { timeout: 120_000 });
      await Promise.race([starting, waiting]).catch((error: unknown) => {
        givenUp.abort(error);
        return starting;
      });
      await store.comeBack();
      system = await starting;
      redis = new Redis(system.redisUrl);
      before = new SegueClient({ baseUrl: system.app('gateway-2').url });
    });
    afterAll(async () => {
      redis?.disconnect();
      await system?.stop();
      await store?.close();
    });

    it('waits at its start until it can use them, and says why', () => {
      expect([...waited].sort()).toEqual(['encoder-worker', 'gateway']);
    });

    it('answers a question and a second one about the same picture, and lists both', async () => {
      const first = await system.client.segment({ image: WIDE, instruction: MANY_SEGMENTS });
      const second = await system.client.segment({ imageId: first.imageId, instruction: MANY_SEGMENTS });
      expect(second.cache).toEqual({ image: true, prefix: true });
      expect(content(second)).toEqual(content(first));
      const jobs: Job[] = [];
      for await (const job of system.client.jobs.list()) jobs.push(job);
      expect(jobs.map(({ state, imageId }) => [state, imageId])).toEqual(Array(2).fill(['completed', first.imageId]));
      const picture = await fetch(`${system.httpUrl}/v1/images/${first.imageId}`);
      expect(Buffer.compare(Buffer.from(await picture.arrayBuffer()), WIDE)).toBe(0);
      expect(await store.count()).toBe(1);
    });

    it('needs some kilobytes of Redis for a job, and reads pictures that are in Redis still', async () => {
      const photos = await Promise.all(Array.from({ length: 2 * JOBS }, newPhoto));
      const photoBytes = photos.reduce((sum, { length }) => sum + length, 0) / photos.length;
      const [inRedis, outside] = [
        await bytesOfJob(before, photos.slice(0, JOBS)),
        await bytesOfJob(system.client, photos.slice(JOBS)),
      ];
      console.log(`${photoBytes} bytes of a picture; a job takes ${inRedis} bytes of Redis, in ${kind} ${outside}`);
      expect(inRedis).toBeGreaterThan(photoBytes);
      expect(outside).toBeLessThan(30_000);
    });

    it('loses no job while they are away, and refuses new pictures until they are back', async () => {
      const [known, unknown] = [await newPhoto(), await newPhoto()];
      const encoder = system.app('encoder-worker');
      encoder.pause();
      const { jobId } = await system.client.jobs.submit({ image: known, instruction: MANY_SEGMENTS });
      await store.leave();
      encoder.resume();
      const hasty = new SegueClient({ baseUrl: system.httpUrl, retries: 0 });
      const refused = hasty.segment({ image: unknown, instruction: MANY_SEGMENTS });
      await expect(refused).rejects.toMatchObject({ code: 'UNAVAILABLE' });
      expect((await hasty.jobs.get(jobId)).state).toMatch(/queued|running/);
      await store.comeBack();
      for await (const event of hasty.jobs.watch(jobId)) expect(event.type).not.toBe('failed');
      expect((await hasty.jobs.get(jobId)).state).toBe('completed');
      expect((await hasty.segment({ image: unknown, instruction: MANY_SEGMENTS })).segments).not.toEqual([]);
    });

    /** Bytes of Redis that one job takes, as Redis counts them. */
    async function bytesOfJob(client: SegueClient, photos: readonly Buffer[]): Promise<number> {
      const bytesBefore = await redisBytes();
      for (const image of photos) await client.segment({ image, instruction: MANY_SEGMENTS });
      return Math.round(((await redisBytes()) - bytesBefore) / photos.length);
    }

    async function redisBytes(): Promise<number> {
      const sizes = (await redis.keys('*')).map((key) => redis.memory('USAGE', key, 'SAMPLES', 0));
      return (await Promise.all(sizes)).reduce<number>((sum, size) => sum + (size ?? 0), 0);
    }
  });
});
