import { SegueError, storeAway } from '@segue/core';
import { expect, test } from 'vitest';

import { encoded, eventsOf, generated, newJob, prompt, request, segment, useJobs } from './jobs.fixture.js';
import { KEYS } from '@segue/redis';
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
  const again = await store.create(newJob({ idempotencyKey: 'k', timeoutMs: 99_000 }));
  expect(again).toMatchObject({ jobId: first.jobId, created: false });

  const other = store.create(newJob({ idempotencyKey: 'k', request: request({ instruction: 'And the spoon?' }) }));
  await expect(other).rejects.toMatchObject({ code: 'ALREADY_EXISTS' });

  const elsewhere = await store.create(newJob({ idempotencyKey: 'k', tenant: 'someone else' }));
  expect(elsewhere.jobId).not.toBe(first.jobId);
});

test('a key whose job failed for a passing reason starts anew; any other end is final', async () => {
  const { store } = fixture.open();
  const keyed = () => store.create(newJob({ idempotencyKey: 'k' }));
  const first = await keyed();
  expect(first.jobId).not.toBe((await store.create(newJob({ idempotencyKey: 'other' }))).jobId);
  await store.fail(first.jobId, new SegueError('UNAVAILABLE', 'Try again.'));
  expect(await store.isAccepted('k')).toBe(false);
  const second = await keyed();
  expect(second).toMatchObject({ created: true });
  expect(second.jobId).not.toBe(first.jobId);
  await store.fail(second.jobId, new SegueError('INVALID_ARGUMENT', 'Not this.'));
  expect(await store.isAccepted('k')).toBe(true);
  expect(await keyed()).toMatchObject({ jobId: second.jobId, created: false });
  expect((await store.get(first.jobId)).state).toBe('failed');
});

test('an id cannot be computed from the key', async () => {
  const { store } = fixture.open();
  const { jobId } = await store.create(newJob({ idempotencyKey: 'invoice-2026-001' }));
  await store.cancel(jobId);
  await (await fixture.open().home()).flushall();
  expect((await store.create(newJob({ idempotencyKey: 'invoice-2026-001' }))).jobId).not.toBe(jobId);
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
  await jobs.journal(jobId).writeText({ offset: 0, text: 'Ein 🐟' });
  const second = jobs.journal(jobId);
  await second.writeText({ offset: 0, text: 'Ein 🐟 hier' });
  await second.writeText({ offset: 10, text: '.' });
  const third = jobs.journal(jobId);
  await third.writeText({ offset: 0, text: 'Ein ' });
  await third.writeText({ offset: 4, text: '🐟 hi' });
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
  const jobs = fixture.open();
  const { jobId } = await jobs.store.create(newJob());
  const journal = jobs.journal(jobId);
  await journal.writeText({ offset: 0, text: 'x' });
  await jobs.redis.hset(KEYS.record(jobId), 'text', '');
  await expect(journal.writeText({ offset: 1, text: 'x' })).rejects.toThrow('leaves a gap');
});

test('a run that says something else begins the answer anew, and its decodes too', async () => {
  const jobs = fixture.open();
  const { jobId } = await jobs.store.create(newJob());
  const first = jobs.journal(jobId);
  await first.writeText({ offset: 0, text: 'The cup <SEG> and a' });
  await jobs.store.addSegment(jobId, segment(0), 1, 0, 't');
  const decodes: unknown[] = [];
  const second = jobs.journal(jobId, (...decode) => Promise.resolve(void decodes.push(decode)));
  await second.writeText({ offset: 0, text: 'The cup <SEG>' });
  await second.addDecode(prompt(0));
  await second.writeText({ offset: 13, text: '.' });
  expect(decodes).toEqual([
    [prompt(0), 0],
    [prompt(0), 1],
  ]);
  expect(await jobs.store.segments(jobId)).toEqual([]);
  await jobs.store.addSegment(jobId, segment(0), 1, 0, 't'); // of the first run, too late
  await jobs.store.addSegment(jobId, { ...segment(0), score: 0.5 }, 1, 1, 't');
  expect(await jobs.store.segments(jobId)).toEqual([{ ...segment(0), score: 0.5 }]);
  await expect(first.writeText({ offset: 19, text: ' spoon' })).rejects.toMatchObject({ reason: 'SUPERSEDED' });
  await jobs.store.cancel(jobId);
  const kinds = (await eventsOf(jobs, jobId)).map((event) => (event.type === 'text' ? event.text : event.type));
  expect(kinds).toEqual([
    'accepted',
    'The cup <SEG> and a',
    'segment',
    'restarted',
    'The cup <SEG>.',
    'segment',
    'cancelled',
  ]);
});

test('a run that says less begins the answer anew when it ends', async () => {
  const jobs = fixture.open();
  const { jobId } = await jobs.store.create(newJob());
  await jobs.journal(jobId).writeText({ offset: 0, text: 'It is the cup.' });
  const second = jobs.journal(jobId);
  await second.writeText({ offset: 0, text: 'It is' });
  await second.end();
  expect(await jobs.redis.hget(KEYS.record(jobId), 'text')).toBe('It is');
});

test('a segment is written once for its index', async () => {
  const jobs = fixture.open();
  const { jobId } = await jobs.store.create(newJob());
  await Promise.all([1, 0, 1, 1].map((index) => jobs.store.addSegment(jobId, segment(index), 10, 0, 't')));
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
  await jobs.store.begin(jobId, 'encode', 't');
  await jobs.store.endEncode(jobId, encoded, 't');
  await jobs.store.endGenerate(jobId, generated(), 0, 't');
  await jobs.journal(jobId).writeText({ offset: 0, text: 'late' });
  await jobs.store.addSegment(jobId, segment(0), 1, 0, 't');
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
    await jobs.store.begin(jobId, 'encode', 't');
    await jobs.store.endEncode(jobId, { ...encoded, owner: `run-${run}` }, 't');
  }
  expect((await jobs.store.get(jobId)).encoded?.owner).toBe('run-1');
  await jobs.store.cancel(jobId);
  expect((await eventsOf(jobs, jobId)).filter((event) => event.type === 'stage')).toHaveLength(2);
});

test('every key has a lifetime, and writing to a job that is gone brings nothing back', async () => {
  const jobs = fixture.open({ jobKeepMs: 300 });
  const { store, redis } = jobs;
  const journal = () => jobs.journal(jobId);
  const { jobId } = await store.create(newJob({ timeoutMs: 1_000 }));
  await journal().writeText({ offset: 0, text: 'x' });
  for (const key of [KEYS.record(jobId), KEYS.events(jobId)]) {
    expect(await redis.pttl(key)).toBeGreaterThan(1_000);
    expect(await redis.pttl(key)).toBeLessThanOrEqual(1_310);
  }
  await store.cancel(jobId);
  expect(await redis.zscore(KEYS.deadlines, jobId)).toBeNull();
  await new Promise((resolve) => setTimeout(resolve, 400));
  await journal().writeText({ offset: 0, text: 'xx' });
  await store.addSegment(jobId, segment(0), 1, 0, 't');
  await store.fail(jobId, late());
  expect(await store.find(jobId)).toBeUndefined();
  expect((await (await jobs.home()).keys('*')).filter((key) => key.includes(jobId))).toEqual([]);
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

test('jobs that have ended are not lost with who could not read them', async () => {
  const { store } = fixture.open();
  const ids: string[] = [];
  for (let job = 0; job < 3; job++) ids.push((await store.create(newJob())).jobId);
  for (const jobId of ids) await store.cancel(jobId);
  const { find } = store;
  store.find = () => Promise.reject(storeAway(new Error('Connection is closed.')));
  await expect(store.takeEnded(9)).rejects.toMatchObject({ code: 'UNAVAILABLE' });
  store.find = find;
  expect((await store.takeEnded(9)).map(({ jobId }) => jobId)).toEqual(ids);
});

test('a stage that was not done by the deadline slows the pace that is expected, within bounds, and other ends do not', async () => {
  const { store, redis } = fixture.open();
  const pace = async () => Number(await redis.hget(KEYS.pace, 'generate'));
  const endAfter = async (error: SegueError) => {
    const { jobId } = await store.create(newJob());
    await store.begin(jobId, 'encode', 't');
    await store.endEncode(jobId, encoded, 't');
    await store.begin(jobId, 'generate', 't');
    await new Promise((resolve) => setTimeout(resolve, 100));
    await store.fail(jobId, error);
  };
  await redis.hset(KEYS.pace, 'generate', 10);
  await endAfter(new SegueError('INVALID_ARGUMENT', 'No.'));
  expect(await pace()).toBe(10);
  await endAfter(late());
  expect(await pace()).toBeCloseTo(11); // 20 of the 100 ms count
  await redis.hset(KEYS.pace, 'generate', 5_000);
  await endAfter(late());
  expect(await pace()).toBe(5_000); // it may have begun just before
});
