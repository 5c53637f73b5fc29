import { expect, it } from 'vitest';
import { lastEvent, newJob, until, useJobs } from './jobs.fixture.js';
import { startSweeper } from './job-sweeper.js';

/** A second is promised; a busy machine may need half of one more. */
const LATE_MS = 1_500;

const { open } = useJobs();

it('keeps deadlines while the tasks of other jobs are still being taken out of the queues', async () => {
  const { connection, store, flows } = open();
  let go = (): void => undefined;
  const taken = new Promise<void>((resolve) => (go = resolve));
  const withdrawn: string[] = [];
  const slow = {
    withdraw: (jobId: string) => taken.then(() => void withdrawn.push(jobId)),
    isStarted: (jobId: string) => flows.isStarted(jobId),
    start: () => Promise.resolve(),
  };
  const sweeper = startSweeper({ redis: connection, store, flows: slow }, { everyMs: 20 });
  const failed = async (jobId: string) => (await store.get(jobId)).state === 'failed';

  const first = await store.create(newJob({ timeoutMs: 30 }));
  await until(() => failed(first.jobId));
  const second = await store.create(newJob({ timeoutMs: 30 }));
  await until(() => failed(second.jobId));
  expect(withdrawn).toEqual([]);

  go();
  await sweeper.stop();
  expect(withdrawn).toEqual([first.jobId, second.jobId]);
});

it('keeps the deadlines of a storm: 400 jobs of 300 ms end within a second of them', async () => {
  const jobs = open();
  const { connection, store, flows } = jobs;
  const sweeper = startSweeper({ redis: connection, store, flows });
  const jobIds: string[] = [];
  for (let wave = 0; wave < 20; wave++) {
    const submitted = Array.from({ length: 20 }, () => jobs.submit(newJob({ timeoutMs: 300 })));
    jobIds.push(...(await Promise.all(submitted)).map(({ jobId }) => jobId));
  }
  const late: number[] = [];
  for (const jobId of jobIds) {
    const { type, atMs } = await lastEvent(jobs, jobId);
    expect(type).toBe('failed');
    late.push(atMs - (await store.get(jobId)).deadlineAtMs);
  }
  await sweeper.stop();
  expect(Math.min(...late)).toBeGreaterThanOrEqual(0);
  expect(Math.max(...late)).toBeLessThan(LATE_MS);
  expect((await flows.depth()).encode.waiting).toBe(0);
});
