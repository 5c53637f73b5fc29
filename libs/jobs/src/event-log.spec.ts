import type { JobEvent } from '@segue/core';
import { KEYS } from '@segue/redis';
import { everywhere } from '@segue/testing';
import { expect, test } from 'vitest';
import { eventsOf, newJob, segment, until, useJobs, type OpenedJobs } from './jobs.fixture.js';

const fixture = useJobs();

async function endedJob(jobs: OpenedJobs): Promise<string> {
  const { jobId } = await jobs.store.create(newJob());
  await jobs.store.begin(jobId, 'encode', 't');
  await jobs.journal(jobId).writeText({ offset: 0, text: 'The cup' });
  await jobs.store.addSegment(jobId, segment(0), 1, 0, 't');
  await jobs.store.cancel(jobId);
  return jobId;
}

test('a log is replayed from any point, also from its end', async () => {
  const jobs = fixture.open();
  const jobId = await endedJob(jobs);
  const all = await eventsOf(jobs, jobId);
  expect(all.map((event) => event.type)).toEqual(['accepted', 'stage', 'text', 'segment', 'cancelled']);
  expect(all.every((event) => event.jobId === jobId && Math.abs(event.atMs - Date.now()) < 5_000)).toBe(true);
  for (let from = 0; from < all.length; from++) {
    expect(await eventsOf(jobs, jobId, all[from]!.id)).toEqual(all.slice(from + 1));
  }
});

test('a reader follows events as another process writes them', async () => {
  const writer = fixture.open();
  const reader = fixture.open({ role: 'producer' });
  await until(() => reader.ping());
  const { jobId } = await writer.store.create(newJob());
  const seen: JobEvent[] = [];
  const reading = (async () => {
    for await (const event of reader.events(jobId)) seen.push(event);
  })();
  const journal = writer.journal(jobId);
  for (let offset = 0; offset < 5; offset++) {
    await journal.writeText({ offset, text: String(offset) });
    await until(() => seen.length === offset + 2, 1_000);
  }
  await writer.store.cancel(jobId);
  await reading;
  expect(seen.at(-1)?.type).toBe('cancelled');
});

test('who waits for the last event alone is not woken by the others', async () => {
  const writer = fixture.open();
  const reader = fixture.open();
  const { jobId } = await writer.store.create(newJob());
  const seen: string[] = [];
  const reading = (async () => {
    for await (const { type } of reader.events(jobId, { lastOnly: true })) seen.push(type);
  })();
  const pages = async () =>
    Number(/cmdstat_evalsha:calls=(\d+)/.exec(await (await writer.home()).info('commandstats'))?.[1] ?? 0);
  await until(async () => (await writer.subscribers(KEYS.signal(jobId))) === 1);
  await until(async () => (await pages()) > 0);
  const journal = writer.journal(jobId);
  await journal.writeText({ offset: 0, text: '0' }); // from here on the script is known by its hash
  await new Promise((resolve) => setTimeout(resolve, 50));
  const before = await pages();
  for (let offset = 1; offset < 9; offset++) await journal.writeText({ offset, text: String(offset) });
  await new Promise((resolve) => setTimeout(resolve, 50));
  expect((await pages()) - before).toBe(8);
  await writer.store.cancel(jobId);
  await reading;
  expect(seen).toEqual(['cancelled']);
});

test('a log longer than a page is read whole and in order', async () => {
  const jobs = fixture.open();
  const { jobId } = await jobs.store.create(newJob());
  const reading = eventsOf(jobs, jobId);
  const journal = jobs.journal(jobId);
  for (let offset = 0; offset < 250; offset++) await journal.writeText({ offset, text: 'x' });
  await jobs.store.cancel(jobId);
  const offsets = (await reading).flatMap((event) => (event.type === 'text' ? [event.offset] : []));
  expect(offsets).toEqual(Array.from({ length: 250 }, (_, offset) => offset));
  expect(await eventsOf(jobs, jobId)).toEqual(await reading);
});

test('many readers share one connection', async () => {
  const jobs = fixture.open();
  const connections = async () =>
    String(await (await jobs.home()).client('LIST'))
      .trim()
      .split('\n')
      .filter((line) => !line.includes('(refresher)')).length;
  const { jobId } = await jobs.store.create(newJob());
  await eventsOf(jobs, await endedJob(jobs));
  const before = await connections();
  const readers = Array.from({ length: 200 }, () => eventsOf(jobs, jobId));
  await jobs.journal(jobId).writeText({ offset: 0, text: 'x' });
  expect(await connections()).toBe(before);
  await jobs.store.cancel(jobId);
  for (const events of await Promise.all(readers))
    expect(events.map((event) => event.type)).toEqual(['accepted', 'text', 'cancelled']);
  await until(async () => (await everywhere(jobs.redis, (redis) => redis.pubsub('CHANNELS', '*'))).flat().length === 0);
});

test('a reader that leaves is let go, and leaves the others alone', async () => {
  const jobs = fixture.open();
  const { jobId } = await jobs.store.create(newJob());
  const leaving = new AbortController();
  const seen: JobEvent[] = [];
  const first = (async () => {
    for await (const event of jobs.events(jobId, { signal: leaving.signal })) seen.push(event);
  })();
  const second = eventsOf(jobs, jobId);
  await until(() => seen.length === 1);
  leaving.abort();
  await first;
  await jobs.store.cancel(jobId);
  expect(await second).toHaveLength(2);
  expect(seen).toHaveLength(1);
});

test('what was written while the subscription was broken is not missed', async () => {
  const jobs = fixture.open();
  const writer = fixture.open();
  const { jobId } = await jobs.store.create(newJob());
  const seen: JobEvent[] = [];
  const reading = (async () => {
    for await (const event of jobs.events(jobId)) seen.push(event);
  })();
  await until(() => seen.length === 1);
  await new Promise((resolve) => setTimeout(resolve, 50)); // Until it waits for more.
  await everywhere(writer.redis, (redis) => redis.call('CLIENT', 'KILL', 'TYPE', 'pubsub'));
  await writer.store.cancel(jobId);
  const start = Date.now();
  await reading;
  expect(seen.at(-1)?.type).toBe('cancelled');
  expect(Date.now() - start).toBeLessThan(2_000);
});

test('a reader may come while subscriptions are away and all else is there, and hears of what follows', async () => {
  const jobs = fixture.open({ role: 'producer' });
  const writer = fixture.open();
  await until(() => jobs.ping());
  const { jobId: other } = await writer.store.create(newJob());
  const listening = eventsOf(jobs, other);
  for (let times = 0; times < 10; times++) {
    const { jobId } = await writer.store.create(newJob());
    await until(async () => (await writer.subscribers(KEYS.signal(other))) === 1);
    await everywhere(writer.redis, (redis) => redis.call('CLIENT', 'KILL', 'TYPE', 'pubsub'));
    const start = Date.now();
    const reading = eventsOf(jobs, jobId);
    await new Promise((resolve) => setTimeout(resolve, 200));
    await writer.store.cancel(jobId);
    expect((await reading).at(-1)?.type).toBe('cancelled');
    expect(Date.now() - start).toBeLessThan(3_000); // not until it looks by itself
  }
  await writer.store.cancel(other);
  await listening;
});

test('a subscription that Redis does not take back at once is tried again, and ends no process', async () => {
  const jobs = fixture.open({ role: 'producer' });
  const writer = fixture.open();
  await until(() => jobs.ping());
  const { jobId } = await writer.store.create(newJob());
  const reading = eventsOf(jobs, jobId);
  const subscribers = () => writer.subscribers(KEYS.signal(jobId));
  await until(async () => (await subscribers()) === 1);
  await everywhere(writer.redis, (redis) => redis.acl('SETUSER', 'default', '-subscribe'));
  await everywhere(writer.redis, (redis) => redis.call('CLIENT', 'KILL', 'TYPE', 'pubsub'));
  await new Promise((resolve) => setTimeout(resolve, 500));
  await everywhere(writer.redis, (redis) => redis.acl('SETUSER', 'default', '+subscribe'));
  await until(async () => (await subscribers()) === 1, 3_000);
  await writer.store.cancel(jobId);
  expect((await reading).at(-1)?.type).toBe('cancelled');
});

test('unknown jobs and ids that are none are refused', async () => {
  const jobs = fixture.open();
  await expect(eventsOf(jobs, 'f'.repeat(32))).rejects.toMatchObject({ code: 'NOT_FOUND' });
  await expect(eventsOf(jobs, 'x')).rejects.toMatchObject({ code: 'NOT_FOUND' });
  const { jobId } = await jobs.store.create(newJob());
  await expect(eventsOf(jobs, jobId, 'soon')).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
});
