import { SegueError } from '@segue/core';
import { expect, test } from 'vitest';

import { encoded, eventsOf, generated, newJob, request, segment, useJobs } from './jobs.fixture.js';
import { KEYS } from './keys.js';
import { toJob } from './record.js';

const fixture = useJobs();
const late = () => new SegueError('DEADLINE_EXCEEDED', 'Too late.');

test('a new job is queued and accepted', async () => {
  const { store, redis } = fixture.open();
  const { jobId, created } = await store.create(newJob());
  expect(created).toBe(true);
  const record = await store.get(jobId);
  expect(record).toMatchObject({ state: 'queued', request: request(), tenant: 'public', recomputes: 0 });
  expect(Math.abs(record.createdAtMs - Date.now())).toBeLessThan(5_000);
  expect(await redis.xlen(KEYS.events(jobId))).toBe(1);
});

test('the same key finds the same job; with another request it is refused', async () => {
  const { store } = fixture.open();
  const first = await store.create(newJob({ idempotencyKey: 'k' }));
  const again = await store.create(newJob({ idempotencyKey: 'k', deadlineAtMs: Date.now() + 99_000 }));
  expect(again).toEqual({ jobId: first.jobId, created: false });

  const other = store.create(newJob({ idempotencyKey: 'k', request: request({ instruction: 'And the spoon?' }) }));
  await expect(other).rejects.toMatchObject({ code: 'ALREADY_EXISTS' });

  const elsewhere = await store.create(newJob({ idempotencyKey: 'k', tenant: 'someone else' }));
  expect(elsewhere.jobId).not.toBe(first.jobId);
});

test('many submissions of one key at once make one job', async () => {
  const { store } = fixture.open();
  const all = await Promise.all(Array.from({ length: 20 }, () => store.create(newJob({ idempotencyKey: 'k' }))));
  expect(all.filter(({ created }) => created)).toHaveLength(1);
  expect(new Set(all.map(({ jobId }) => jobId)).size).toBe(1);
});

test('an unknown or malformed id is not found', async () => {
  const { store } = fixture.open();
  for (const jobId of ['f'.repeat(32), 'x', '', '../..', `${'f'.repeat(32)}:events`]) {
    await expect(store.get(jobId)).rejects.toMatchObject({ code: 'NOT_FOUND' });
  }
});

test('text is appended from where the log stands, whoever writes it', async () => {
  const jobs = fixture.open();
  const { jobId } = await jobs.store.create(newJob());
  await jobs.store.appendText(jobId, { offset: 0, text: 'Ein 🐟' });
  await jobs.store.appendText(jobId, { offset: 0, text: 'Ein 🐟 hier' });
  await jobs.store.appendText(jobId, { offset: 4, text: '🐟 hi' });
  await jobs.store.appendText(jobId, { offset: 10, text: '.' });
  await jobs.store.cancel(jobId);
  const pieces = (await eventsOf(jobs, jobId)).flatMap((event) =>
    event.type === 'text' ? [[event.offset, event.text]] : [],
  );
  expect(pieces).toEqual([
    [0, 'Ein 🐟'],
    [5, ' hier'],
    [10, '.'],
  ]);
});

test('text that leaves a gap is a defect', async () => {
  const { store } = fixture.open();
  const { jobId } = await store.create(newJob());
  await expect(store.appendText(jobId, { offset: 3, text: 'x' })).rejects.toThrow('leaves a gap');
});

test('a segment is written once for its index', async () => {
  const jobs = fixture.open();
  const { jobId } = await jobs.store.create(newJob());
  await Promise.all([1, 0, 1, 1].map((index) => jobs.store.addSegment(jobId, segment(index), 10)));
  expect(await jobs.store.segments(jobId)).toEqual([segment(0), segment(1)]);
  expect(await jobs.store.segment(jobId, 1)).toEqual(segment(1));
  expect(await jobs.store.segment(jobId, 2)).toBeUndefined();
  expect(await jobs.store.hasSegment(jobId, 0)).toBe(true);
  expect((await jobs.store.get(jobId)).decodeMs).toBe(20);
});

test('the first end counts, and nothing is written after it', async () => {
  const jobs = fixture.open();
  const { jobId } = await jobs.store.create(newJob());
  const wins = await Promise.all([
    jobs.store.fail(jobId, late()),
    jobs.store.cancel(jobId),
    jobs.store.fail(jobId, late()),
  ]);
  expect(wins).toEqual([true, false, false]);
  await jobs.store.beginStage(jobId, 'encode');
  await jobs.store.endEncode(jobId, encoded);
  await jobs.store.endGenerate(jobId, generated());
  await jobs.store.appendText(jobId, { offset: 0, text: 'late' });
  await jobs.store.addSegment(jobId, segment(0), 1);
  expect((await eventsOf(jobs, jobId)).map((event) => event.type)).toEqual(['accepted', 'failed']);
  expect(toJob(await jobs.store.get(jobId))).toMatchObject({
    state: 'failed',
    error: { code: 'DEADLINE_EXCEEDED', message: 'Too late.' },
  });
});

test('a stage that runs twice begins and ends once', async () => {
  const jobs = fixture.open();
  const { jobId } = await jobs.store.create(newJob());
  for (let run = 0; run < 2; run++) {
    await jobs.store.beginStage(jobId, 'encode');
    await jobs.store.endEncode(jobId, { ...encoded, owner: `run-${run}` });
  }
  expect((await jobs.store.get(jobId)).encoded?.owner).toBe('run-1');
  await jobs.store.cancel(jobId);
  expect((await eventsOf(jobs, jobId)).filter((event) => event.type === 'stage')).toHaveLength(2);
});

test('every key has a lifetime, and writing to a job that is gone brings nothing back', async () => {
  const { store, redis } = fixture.open({ jobKeepMs: 300 });
  const { jobId } = await store.create(newJob({ deadlineAtMs: Date.now() + 1_000 }));
  await store.appendText(jobId, { offset: 0, text: 'x' });
  for (const key of [KEYS.record(jobId), KEYS.events(jobId)]) {
    expect(await redis.pttl(key)).toBeGreaterThan(1_000);
    expect(await redis.pttl(key)).toBeLessThanOrEqual(1_310);
  }
  await store.cancel(jobId);
  expect(await redis.zscore(KEYS.deadlines, jobId)).toBeNull();
  await new Promise((resolve) => setTimeout(resolve, 400));
  await store.appendText(jobId, { offset: 1, text: 'x' });
  await store.addSegment(jobId, segment(0), 1);
  await store.fail(jobId, late());
  expect(await store.find(jobId)).toBeUndefined();
  expect((await redis.keys('*')).filter((key) => key.includes(jobId))).toEqual([]);
});

test('a job that has ended is given out once to be counted', async () => {
  const { store } = fixture.open();
  const { jobId: first } = await store.create(newJob());
  const { jobId: second } = await store.create(newJob());
  await store.create(newJob());
  await store.fail(first, late());
  await store.cancel(first);
  await store.cancel(second);
  const taken = (await Promise.all([store.takeEnded(1), store.takeEnded(9)])).flat();
  expect(taken).toMatchObject([
    { jobId: first, state: 'failed' },
    { jobId: second, state: 'cancelled' },
  ]);
  expect(await store.takeEnded(9)).toEqual([]);
});
