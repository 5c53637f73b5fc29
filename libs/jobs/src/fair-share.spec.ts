import { expect, test } from 'vitest';
import { KEYS } from '@segue/redis';
import { encoded, generated, lastEvent, newJob, request, until, useJobs, type OpenedJobs } from './jobs.fixture.js';

const fixture = useJobs();

const submit = (jobs: OpenedJobs, tenant: string, more: Parameters<typeof request>[0] = {}) =>
  jobs.submit(newJob({ tenant, timeoutMs: 300_000, request: request({ instruction: tenant, ...more }) }));

/** Starts all stages, the language model with one slot. @returns who was answered, in order. */
function startWorkers(): string[] {
  const order: string[] = [];
  fixture.startStage({ stage: 'encode', concurrency: 8, process: () => Promise.resolve(encoded) });
  fixture.startStage({
    stage: 'generate',
    concurrency: 1,
    process: async ({ request: { instruction } }) => {
      order.push(instruction);
      return generated();
    },
  });
  fixture.startAnswers();
  return order;
}

test("a thousand waiting jobs of one tenant do not keep another's first one waiting", { timeout: 60_000 }, async () => {
  const jobs = fixture.open();
  for (let i = 0; i < 20; i++) await Promise.all(Array.from({ length: 50 }, () => submit(jobs, 'many')));
  const order = startWorkers();
  await until(() => order.length > 10);
  const before = order.length;
  const { jobId } = await submit(jobs, 'one');
  expect(await lastEvent(jobs, jobId)).toMatchObject({ type: 'completed' });
  // What is in the workers' hands already goes first, and those whose pictures are encoded alternate with it.
  expect(order.indexOf('one') - before).toBeLessThan(25);
});

test('tenants with much waiting take turns', async () => {
  const jobs = fixture.open();
  for (let i = 0; i < 20; i++) await submit(jobs, 'first');
  for (let i = 0; i < 20; i++) await submit(jobs, 'second');
  const order = startWorkers();
  await until(() => order.length >= 20);
  const share = order.slice(0, 20).filter((tenant) => tenant === 'second').length;
  expect(share).toBeGreaterThanOrEqual(8);
  expect(share).toBeLessThanOrEqual(12);
});

test('who comes back again and again takes no more than a share', async () => {
  const jobs = fixture.open();
  for (let i = 0; i < 30; i++) await submit(jobs, 'waiting');
  const order = startWorkers();
  await until(() => order.length > 0);
  for (let i = 0; i < 6; i++) await lastEvent(jobs, (await submit(jobs, 'again')).jobId);
  expect(order.filter((tenant) => tenant === 'waiting').length).toBeGreaterThanOrEqual(5);
});

test('jobs that were cancelled before anybody took them cost no turn', async () => {
  const jobs = fixture.open();
  const cancelled = [];
  for (let i = 0; i < 20; i++) cancelled.push((await submit(jobs, 'changes its mind')).jobId);
  for (let i = 0; i < 5; i++) await submit(jobs, 'other');
  for (const jobId of cancelled) await jobs.cancel(jobId);
  await submit(jobs, 'changes its mind');
  const order = startWorkers();
  await until(() => order.length === 6);
  expect(order.indexOf('changes its mind')).toBeLessThan(3);
});

test('within a tenant the higher priority goes first, and takes nothing from another tenant', async () => {
  const jobs = fixture.open();
  for (let i = 0; i < 10; i++) await submit(jobs, 'a', { priority: 'low' });
  await submit(jobs, 'b', { priority: 'low' });
  await submit(jobs, 'a', { priority: 'high', instruction: 'a, high' });
  for (let i = 0; i < 10; i++) await submit(jobs, 'a', { priority: 'high' });
  const order = startWorkers();
  await until(() => order.length === 22);
  expect(order.indexOf('a, high')).toBe(0);
  expect(order.indexOf('b')).toBeLessThan(4);
});

test('a job whose gateway died before it was queued keeps its turn', async () => {
  const jobs = fixture.open();
  for (let i = 0; i < 5; i++) await submit(jobs, 'many');
  await jobs.store.create(newJob({ tenant: 'one', request: request({ instruction: 'one' }) }));
  const sweeper = jobs.startSweeper({ everyMs: 50, forgottenAfterMs: 100 });
  await until(async () => (await jobs.redis.zcard(KEYS.unsent)) === 0);
  await sweeper.stop();
  const order = startWorkers();
  await until(() => order.length === 6);
  expect(order.indexOf('one')).toBeLessThan(3);
});

test('no more jobs of a tenant are open than it may have, however many come at once', async () => {
  const jobs = fixture.open();
  const limited = () => jobs.submit(newJob({ tenant: 'a', mostOfTenant: 5 }));
  const results = await Promise.allSettled(Array.from({ length: 30 }, limited));
  const accepted = results.flatMap((result) => (result.status === 'fulfilled' ? [result.value.jobId] : []));
  expect(accepted).toHaveLength(5);
  await expect(limited()).rejects.toMatchObject({ code: 'RESOURCE_EXHAUSTED', retryAfterMs: expect.any(Number) });
  await expect(jobs.submit(newJob({ tenant: 'b', mostOfTenant: 5 }))).resolves.toMatchObject({ created: true });
  await jobs.cancel(accepted[0] ?? '');
  await expect(limited()).resolves.toMatchObject({ created: true });
  await expect(jobs.submit(newJob({ tenant: 'c', mostOfAll: 6 }))).rejects.toMatchObject({
    code: 'RESOURCE_EXHAUSTED',
  });
});

test('nothing is left of a tenant whose jobs have ended', async () => {
  const jobs = fixture.open();
  startWorkers();
  for (let i = 0; i < 3; i++) await lastEvent(jobs, (await submit(jobs, 'a')).jobId);
  expect(await (await jobs.home()).keys('*:tenant:a:*')).toEqual([]);
  await submit(jobs, 'b');
  expect(await jobs.redis.hkeys(KEYS.turns)).toEqual([]);
});
