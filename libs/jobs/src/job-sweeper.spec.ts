import { expect, it } from 'vitest';
import { newJob, until, useJobs } from './jobs.fixture.js';
import { startSweeper } from './job-sweeper.js';

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
