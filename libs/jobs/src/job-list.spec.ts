import { SegueError } from '@segue/core';
import { KEYS } from '@segue/redis';
import { expect, test, vi } from 'vitest';
import { newJob, useJobs } from './jobs.fixture.js';
import type { OpenedJobs } from './jobs.fixture.js';

const fixture = useJobs();

async function create(jobs: OpenedJobs, count: number, tenant?: string): Promise<string[]> {
  const made: string[] = [];
  for (let i = 0; i < count; i++) {
    made.push((await jobs.submit(newJob(tenant === undefined ? {} : { tenant }))).jobId);
    // The order within one millisecond is that of the ids, which are random.
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
  return made.reverse();
}

const idsOf = ({ jobs }: Awaited<ReturnType<OpenedJobs['list']>>) => jobs.map(({ jobId }) => jobId);

test('jobs are listed page by page, the newest first, each tenant its own', async () => {
  const jobs = fixture.open();
  const mine = await create(jobs, 5);
  const theirs = await create(jobs, 1, 'someone else');
  const first = await jobs.list({ limit: 2 });
  expect(idsOf(first)).toEqual(mine.slice(0, 2));
  await create(jobs, 1); // shifts nothing that is still to come
  const second = await jobs.list({ limit: 2, after: first.next! });
  expect(idsOf(second)).toEqual(mine.slice(2, 4));
  const third = await jobs.list({ limit: 2, after: second.next! });
  expect(idsOf(third)).toEqual(mine.slice(4));
  expect(third.next).toBeUndefined();
  expect(idsOf(await jobs.list({ limit: 9, tenant: 'someone else' }))).toEqual(theirs);
});

test('a job is listed as soon as it is written down, also when nobody lives to start it', async () => {
  const jobs = fixture.open();
  const { jobId } = await jobs.store.create(newJob());
  expect(idsOf(await jobs.list({ limit: 2 }))).toEqual([jobId]);
});

test('a state is found among many others; what is not kept any more is left out', async () => {
  const jobs = fixture.open();
  const [newest, oldest] = await create(jobs, 2);
  await jobs.store.fail(oldest!, new SegueError('NOT_FOUND', 'Gone.'));
  for (let i = 0; i < 150; i++) await jobs.submit(newJob());
  expect(idsOf(await jobs.list({ limit: 5, state: 'failed' }))).toEqual([oldest]);
  await jobs.redis.del(KEYS.record(newest!));
  expect(idsOf(await jobs.list({ limit: 500 }))).toHaveLength(151);
});

test('a page token of another kind is refused', async () => {
  await expect(fixture.open().list({ limit: 1, after: '+' })).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
});

test('the order is that of one clock, however wrong those of the processes are', async () => {
  const jobs = fixture.open();
  const [first] = await create(jobs, 1);
  vi.useFakeTimers({ toFake: ['Date'], now: Date.now() - 300_000 });
  try {
    const [second] = await create(jobs, 1);
    expect(idsOf(await jobs.list({ limit: 5 }))).toEqual([second, first]);
  } finally {
    vi.useRealTimers();
  }
});
