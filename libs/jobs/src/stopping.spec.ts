import type { SegueError } from '@segue/core';
import { expect, test } from 'vitest';

import {
  encoded,
  eventsOf,
  fakeStages,
  forever,
  generated,
  lastEvent,
  newJob,
  prompt,
  until,
  useJobs,
  type OpenedJobs,
} from './jobs.fixture.js';
import { PREFIX } from '@segue/redis';
import type { StageRunReport } from './task-host.js';

const fixture = useJobs();

function startSweeper(jobs: OpenedJobs): void {
  const sweeper = jobs.startSweeper({ everyMs: 50, forgottenAfterMs: 100 });
  fixture.onEnd(() => sweeper.stop());
}

const tasksOf = async (jobs: OpenedJobs, jobId: string) =>
  (await (await jobs.home()).keys(`${PREFIX}:segue.*`)).filter((key) => key.includes(jobId));

test('cancelling stops a stage that runs in another process', async () => {
  let stopped: SegueError | undefined;
  let running = false;
  fixture.startWorkers({
    async generate({ signal }) {
      running = true;
      return forever(signal).catch((error: SegueError) => {
        stopped = error;
        throw error;
      });
    },
  });
  const jobs = fixture.open();
  const { jobId } = await jobs.submit(newJob());
  await until(() => running);
  const start = Date.now();
  expect((await jobs.cancel(jobId)).state).toBe('cancelled');
  await until(() => stopped !== undefined);
  expect(Date.now() - start).toBeLessThan(1_000);
  expect(stopped?.code).toBe('CANCELLED');
  expect((await lastEvent(jobs, jobId)).type).toBe('cancelled');
  await until(async () => (await tasksOf(jobs, jobId)).length === 0);
});

test('cancelling takes a waiting job out of the queues, and cancelling again changes nothing', async () => {
  const jobs = fixture.open();
  const { jobId } = await jobs.submit(newJob());
  await jobs.cancel(jobId);
  expect((await jobs.depth()).encode.waiting).toBe(0);
  expect((await jobs.cancel(jobId)).state).toBe('cancelled');
  expect((await eventsOf(jobs, jobId)).map((event) => event.type)).toEqual(['accepted', 'cancelled']);
  fixture.startAnswers();
  await until(async () => (await tasksOf(jobs, jobId)).length === 0);
});

test('cancelling stops decoding and drops the decodes that wait', async () => {
  const decoding: number[] = [];
  fixture.startStage({ stage: 'encode', concurrency: 1, process: fakeStages.encode });
  fixture.startStage({
    stage: 'generate',
    concurrency: 1,
    async process({ addDecode, signal }) {
      for (let index = 0; index < 4; index++) await addDecode(prompt(index));
      return forever(signal);
    },
  });
  fixture.startStage({
    stage: 'decode',
    concurrency: 1,
    process({ prompt: { index }, signal }) {
      decoding.push(index);
      return forever(signal);
    },
  });
  fixture.startAnswers();
  const jobs = fixture.open();
  const { jobId } = await jobs.submit(newJob());
  await until(() => decoding.length === 1);
  await jobs.cancel(jobId);
  await until(async () => (await tasksOf(jobs, jobId)).length === 0);
  expect(decoding).toEqual([0]);
});

test('whoever ends a job and dies before clearing up leaves nothing behind', async () => {
  let running = false;
  fixture.startWorkers({
    encode({ signal }) {
      running = true;
      return forever(signal);
    },
  });
  const jobs = fixture.open();
  const { jobId } = await jobs.submit(newJob());
  await until(() => running);
  await jobs.store.cancel(jobId);
  await until(async () => (await tasksOf(jobs, jobId)).length === 0);
});

test('a job whose deadline passes while it waits fails without any worker', async () => {
  const jobs = fixture.open();
  startSweeper(jobs);
  const { jobId } = await jobs.submit(newJob({ timeoutMs: 200 }));
  const last = await lastEvent(jobs, jobId);
  expect(last).toMatchObject({ type: 'failed', error: { code: 'DEADLINE_EXCEEDED' } });
  expect(Date.now() - (await jobs.store.get(jobId)).deadlineAtMs).toBeLessThan(500);
  await until(async () => (await jobs.depth()).encode.waiting === 0);
  fixture.startAnswers();
  await until(async () => (await tasksOf(jobs, jobId)).length === 0);
});

test('a task whose deadline has passed is not begun', async () => {
  const jobs = fixture.open();
  const { jobId } = await jobs.submit(newJob({ timeoutMs: 100 }));
  await new Promise((resolve) => setTimeout(resolve, 150));
  let begun = 0;
  fixture.startWorkers({
    encode: () => {
      begun += 1;
      return Promise.resolve(encoded);
    },
  });
  expect(await lastEvent(jobs, jobId)).toMatchObject({ type: 'failed', error: { code: 'DEADLINE_EXCEEDED' } });
  expect(begun).toBe(0);
});

test('a stage that runs is stopped at the deadline', async () => {
  let stopped: SegueError | undefined;
  fixture.startWorkers({
    encode: ({ signal }) =>
      forever(signal).catch((error: SegueError) => {
        stopped = error;
        throw error;
      }),
  });
  const jobs = fixture.open();
  // On a busy machine a worker that has only just been started takes nothing before a short deadline.
  await until(async () => (await jobs.workers('encode')).length === 1);
  const { jobId } = await jobs.submit(newJob({ timeoutMs: 1_000 }));
  expect(await lastEvent(jobs, jobId)).toMatchObject({ type: 'failed', error: { code: 'DEADLINE_EXCEEDED' } });
  expect(stopped?.code).toBe('DEADLINE_EXCEEDED');
  await until(async () => (await tasksOf(jobs, jobId)).length === 0);
});

test('a worker that stops lets its task end within the grace', async () => {
  const jobs = fixture.open();
  const host = fixture.startStage({
    stage: 'encode',
    concurrency: 1,
    process: async (context) => {
      await new Promise((resolve) => setTimeout(resolve, 300));
      return fakeStages.encode(context);
    },
  });
  const { jobId } = await jobs.submit(newJob());
  await until(() => host.active === 1);
  await host.close({ graceMs: 5_000 });
  expect((await jobs.store.get(jobId)).encoded).toBeDefined();
});

test('a worker that stops hands back what it cannot end, and another takes it at once', async () => {
  const jobs = fixture.open();
  const reports: StageRunReport[] = [];
  let stopped: SegueError | undefined;
  fixture.startStage({ stage: 'encode', concurrency: 1, process: fakeStages.encode });
  fixture.startAnswers();
  const first = fixture.startStage({
    stage: 'generate',
    concurrency: 1,
    process: async ({ signal, writeText }) => {
      await writeText({ offset: 0, text: 'Nothing' });
      return forever(signal).catch((error: SegueError) => {
        stopped = error;
        throw error;
      });
    },
    onReport: (report) => reports.push(report),
  });
  const { jobId } = await jobs.submit(newJob());
  await until(() => first.active === 1);
  const start = Date.now();
  await first.close({ graceMs: 100 });
  expect(stopped?.code).toBe('UNAVAILABLE');
  expect(reports).toMatchObject([{ outcome: 'handed_back' }]);
  fixture.startStage({
    stage: 'generate',
    concurrency: 1,
    process: async ({ writeText }) => {
      await writeText({ offset: 0, text: 'Nothing here.' });
      return generated();
    },
  });
  const events = await eventsOf(jobs, jobId);
  expect(events.flatMap((event) => (event.type === 'text' ? [event.text] : []))).toEqual(['Nothing', ' here.']);
  expect(events.at(-1)?.type).toBe('completed');
  expect(Date.now() - start).toBeLessThan(3_000);
});

test('closing is bounded, even when a stage does not listen', async () => {
  const jobs = fixture.open();
  let release: (() => void) | undefined;
  const host = fixture.startStage({
    stage: 'encode',
    concurrency: 1,
    process: async (context) => {
      await new Promise<void>((resolve) => (release = resolve));
      return fakeStages.encode(context);
    },
  });
  await jobs.submit(newJob());
  await until(() => host.active === 1);
  // Without a bound it would not return at all: the stage ends after it.
  await host.close({ graceMs: 100 });
  release?.();
});
