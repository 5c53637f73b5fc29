import { setTimeout as sleep } from 'node:timers/promises';
import { Worker } from 'bullmq';
import { PREFIX } from '@segue/redis';
import { expect, test } from 'vitest';
import { encoded, newJob, until, useJobs, type OpenedJobs } from './jobs.fixture.js';
import { QUEUES } from './queues.js';

const fixture = useJobs();

/** Ways in which Redis refuses writes, and how they end. */
const REFUSALS = [
  ['full', ['maxmemory', '1'], ['maxmemory', '0']],
  ['short of replicas', ['min-replicas-to-write', '1'], ['min-replicas-to-write', '0']],
] as const;

function refuse(jobs: OpenedJobs, fault: readonly [string, string], end: readonly [string, string]) {
  const over = async (): Promise<void> => void (await (await jobs.home()).config('SET', ...end));
  fixture.onEnd(over);
  return { begins: async () => (await jobs.home()).config('SET', ...fault), ends: over };
}

/** Scripts that were run until now. */
async function scriptsRun(jobs: OpenedJobs): Promise<number> {
  const stats = await (await jobs.home()).info('commandstats');
  return [...stats.matchAll(/^cmdstat_eval(?:sha)?:calls=(\d+)/gm)].reduce((sum, [, calls]) => sum + Number(calls), 0);
}

test.each(REFUSALS)(
  'a worker of a Redis that is %s asks less and less, and goes on soon',
  async (_name, fault, end) => {
    const jobs = fixture.open();
    const refusal = refuse(jobs, fault, end);
    await jobs.submit(newJob());
    await refusal.begins();
    let runs = 0;
    fixture.startStage({
      stage: 'encode',
      concurrency: 4,
      process: () => {
        runs++;
        return Promise.resolve(encoded);
      },
    });
    await sleep(1_000);
    const before = await scriptsRun(jobs);
    await sleep(3_000);
    // Tasks, stalled ones, signs of life: some in a second, not thousands.
    expect((await scriptsRun(jobs)) - before).toBeLessThan(30);
    expect(runs).toBe(0);
    await refusal.ends();
    await until(() => runs === 1, 3_000);
  },
);

test.each(REFUSALS)(
  'tasks of dead workers are taken over although Redis was %s in between',
  async (_name, fault, end) => {
    const jobs = fixture.open();
    const refusal = refuse(jobs, fault, end);
    let go: () => void = () => undefined;
    const given = new Promise<void>((resolve) => (go = resolve));
    let runs = 0;
    fixture.startStage({
      stage: 'encode',
      concurrency: 1,
      process: async () => {
        runs++;
        await given;
        return encoded;
      },
    });
    await jobs.submit(newJob());
    await until(() => runs === 1);
    await refusal.begins();
    await sleep(2_500); // longer than from one look for stalled tasks to the next
    await refusal.ends();

    // A worker that takes a task and is never heard of again.
    const dead = new Worker(QUEUES.encode, null, { connection: jobs.redis, prefix: PREFIX, lockDuration: 100 });
    fixture.onEnd(() => dead.close(true));
    await jobs.submit(newJob());
    expect(await dead.getNextJob('token', { block: false })).toBeDefined();
    go();
    await until(() => runs === 2, 10_000);
  },
);
