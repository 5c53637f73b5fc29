import { RedisServer } from '@segue/local-system';
import { PREFIX } from '@segue/redis';
import { Worker } from 'bullmq';
import { expect, test } from 'vitest';
import { newJob, useJobs, type OpenedJobs } from './jobs.fixture.js';
import { QUEUES } from './queues.js';

const fixture = useJobs();

/** Looking at every task that waits would cost a hundred times as much; twice is what a busy machine does by itself. */
const MOST = 3;
const ROUNDS = 200;

/** A service on a Redis of its own in which so many jobs wait for a worker. */
async function withWaiting(many: number): Promise<OpenedJobs> {
  const redis = await RedisServer.start();
  fixture.onEnd(() => redis.stop());
  const jobs = fixture.open({ url: redis.url });
  for (let done = 0; done < many; done += 100)
    await Promise.all(Array.from({ length: 100 }, () => jobs.submit(newJob({ timeoutMs: 3_600_000 }))));
  return jobs;
}

/** What each does, one after the other and again and again, so that both find the machine in the same state. */
async function medians(...acts: readonly (() => Promise<unknown>)[]): Promise<number[]> {
  const times: number[][] = acts.map(() => []);
  for (let round = 0; round < ROUNDS; round++) {
    for (const [index, act] of acts.entries()) {
      const startedAt = performance.now();
      await act();
      times[index]!.push(performance.now() - startedAt);
    }
  }
  return times.map((each) => each.toSorted((a, b) => a - b)[ROUNDS / 2]!);
}

test(
  '10 000 jobs that wait slow neither submission, nor take-off, nor what a request may expect',
  { timeout: 180_000 },
  async () => {
    const [few, many] = [await withWaiting(100), await withWaiting(10_000)];
    const both = async (act: (jobs: OpenedJobs) => () => Promise<unknown>): Promise<number> => {
      const [withFew, withMany] = await medians(act(few), act(many));
      return withMany! / withFew!;
    };
    expect((await many.depth()).encode.waiting).toBe(10_000);
    const submission = await both((jobs) => () => jobs.submit(newJob({ timeoutMs: 3_600_000 })));
    const outlook = await both((jobs) => () => jobs.outlook('public', 'normal'));
    const takeOff = await both((jobs) => {
      const worker = new Worker(QUEUES.encode, null, { connection: jobs.redis, prefix: PREFIX, lockDuration: 60_000 });
      fixture.onEnd(() => worker.close(true));
      return async () => expect(await worker.getNextJob('hands', { block: false })).toBeDefined();
    });
    expect({ submission, outlook, takeOff }).toSatisfy((ratios: Record<string, number>) =>
      Object.values(ratios).every((ratio) => ratio < MOST),
    );
  },
);
