import { createHash } from 'node:crypto';

import { expect, test } from 'vitest';

import { newJob, useJobs } from './jobs.fixture.js';
import { KEYS } from './keys.js';

const fixture = useJobs();
const bytes = Uint8Array.from({ length: 300_000 }, (_, i) => i * 7);
const imageId = createHash('sha256').update(bytes).digest('hex');

test('a picture is found by its hash, byte for byte', async () => {
  const { pictures } = fixture.open();
  expect(await pictures.put(bytes, { width: 30, height: 20 })).toBe(imageId);
  expect(await pictures.put(bytes, { width: 30, height: 20 })).toBe(imageId);
  expect(Buffer.compare(await pictures.get(imageId), bytes)).toBe(0);
  expect(await pictures.size(imageId)).toEqual({ width: 30, height: 20 });
});

test('every use renews its lifetime, which ends', async () => {
  const { pictures, redis } = fixture.open({ pictureKeepMs: 400 });
  await pictures.put(bytes, { width: 30, height: 20 });
  for (const use of [
    () => pictures.get(imageId),
    () => pictures.size(imageId),
    () => pictures.put(bytes, { width: 30, height: 20 }),
  ]) {
    await redis.pexpire(KEYS.picture(imageId), 200);
    await use();
    expect(await redis.pttl(KEYS.picture(imageId))).toBeGreaterThan(200);
  }
  await new Promise((resolve) => setTimeout(resolve, 450));
  await expect(pictures.get(imageId)).rejects.toMatchObject({ code: 'NOT_FOUND' });
  expect(await redis.dbsize()).toBeLessThanOrEqual(4); // The queues' own settings.
});

test('pictures leave room for jobs', async () => {
  const { pictures, redis, producer } = fixture.open();
  const used = Number(/^used_memory:(\d+)/m.exec(await redis.info('memory'))?.[1]);
  await redis.config('SET', 'maxmemory', String(used + 20_000_000));
  fixture.onEnd(async () => void (await redis.config('SET', 'maxmemory', '0')));
  const store = async (i: number) => pictures.put(new Uint8Array(1_000_000).fill(i), { width: 30, height: 20 });
  let stored = 0;
  const refused = await (async () => {
    for (; stored < 30; stored++) await store(stored);
    return undefined;
  })().catch((error: unknown) => error);
  expect(refused).toMatchObject({ code: 'RESOURCE_EXHAUSTED', retryAfterMs: 60_000 });
  expect(stored).toBeGreaterThan(5);
  expect(await store(0)).toMatch(/^[0-9a-f]{64}$/); // kept already
  expect((await producer.submit(newJob())).created).toBe(true);
});

test('what is no image id is not found', async () => {
  const { pictures } = fixture.open();
  await expect(pictures.get('x')).rejects.toMatchObject({ code: 'NOT_FOUND' });
  expect(await pictures.size(`${imageId}:x`)).toBeUndefined();
});
