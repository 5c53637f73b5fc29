import { RedisServer, type RedisServerOptions } from '@segue/local-system';
import { expect, test, vi } from 'vitest';

import { lastEvent, newJob, until, useJobs, fakeStages } from './jobs.fixture.js';

const fixture = useJobs();

/** A Redis that a test may stop; stopped after it in any case. */
async function ownRedis(options?: RedisServerOptions): Promise<RedisServer> {
  const redis = await RedisServer.start(options);
  fixture.onEnd(() => redis.stop());
  return redis;
}

test('without Redis a producer says so at once, in every operation', async () => {
  const redis = await ownRedis();
  const jobs = fixture.open({ url: redis.url, role: 'producer' });
  await until(() => jobs.ping());
  const { jobId } = await jobs.submit(newJob());
  await redis.stop();
  await until(async () => !(await jobs.ping()));
  const operations = {
    submit: () => jobs.submit(newJob()),
    get: () => jobs.store.get(jobId),
    cancel: () => jobs.cancel(jobId),
    events: () => lastEvent(jobs, jobId),
    depth: () => jobs.depth(),
  };
  for (const [name, operation] of Object.entries(operations)) {
    const start = Date.now();
    await expect(operation(), name).rejects.toMatchObject({ code: 'UNAVAILABLE', retryAfterMs: 2_000 });
    expect(Date.now() - start, name).toBeLessThan(500);
  }
});

test('a Redis that hangs is away too', async () => {
  const redis = await ownRedis();
  const jobs = fixture.open({ url: redis.url, role: 'producer' });
  await until(() => jobs.ping());
  redis.program.pause();
  const start = Date.now();
  await expect(jobs.submit(newJob())).rejects.toMatchObject({ code: 'UNAVAILABLE' });
  expect(Date.now() - start).toBeLessThan(3_000);
});

test('a reader that waits for Redis ends with an error in the end, and at once when it is let go', async () => {
  vi.useFakeTimers({ toFake: ['performance'] });
  fixture.onEnd(() => Promise.resolve(void vi.useRealTimers()));
  const redis = await ownRedis();
  const jobs = fixture.open({ url: redis.url, role: 'producer' });
  await until(() => jobs.ping());
  const { jobId } = await jobs.submit(newJob());
  const leaving = new AbortController();
  let seen = 0;
  const read = async (signal?: AbortSignal) => {
    for await (const { type } of jobs.events(jobId, signal ? { signal } : {})) if (type === 'accepted') seen++;
  };
  const leaves = read(leaving.signal);
  const stays = read();
  await until(() => seen === 2);
  await redis.stop();
  await until(async () => !(await jobs.ping()));
  await new Promise((resolve) => setTimeout(resolve, 6_000)); // both have looked in vain
  leaving.abort();
  await leaves;
  vi.advanceTimersByTime(31_000);
  await expect(stays).rejects.toMatchObject({ code: 'UNAVAILABLE', reason: 'STORE_AWAY' });
});

test('producers and workers go on when Redis comes back', async () => {
  const redis = await ownRedis();
  const port = Number(new URL(redis.url).port);
  const worker = fixture.open({ url: redis.url });
  const hosts = [
    worker.stageHost({ stage: 'encode', concurrency: 1, process: fakeStages.encode }),
    worker.stageHost({ stage: 'generate', concurrency: 1, process: fakeStages.generate }),
    worker.stageHost({ stage: 'decode', concurrency: 1, process: fakeStages.decode }),
    worker.answerStage({ concurrency: 1 }),
  ];
  for (const host of hosts) void host.start();
  const jobs = fixture.open({ url: redis.url, role: 'producer' });
  await until(() => jobs.ping());
  await redis.stop();
  await until(async () => !(await jobs.ping()));
  await new Promise((resolve) => setTimeout(resolve, 500));
  await ownRedis({ port });
  await until(() => jobs.ping());
  const { jobId } = await jobs.submit(newJob());
  expect((await lastEvent(jobs, jobId)).type).toBe('completed');
  for (const host of hosts) await host.close({ graceMs: 0 });
});
