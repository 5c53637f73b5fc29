import { SegueError } from '@segue/core';
import { Queue, Worker } from 'bullmq';
import { expect, test } from 'vitest';

import {
  encoded,
  fakeStages,
  generated,
  gone,
  lastEvent,
  newJob,
  prompt,
  request,
  segment,
  until,
  useJobs,
  type OpenedJobs,
} from './jobs.fixture.js';
import { KEYS, LoadScripts, PREFIX } from '@segue/redis';
import { JobSignals } from './job-signals.js';
import { QUEUES } from './queues.js';
import { StageHost } from './stage-host.js';

const fixture = useJobs();

test('a job that was written down but not started is started', async () => {
  fixture.startWorkers();
  const jobs = fixture.open();
  const { jobId } = await jobs.store.create(newJob({ idempotencyKey: 'k' }));
  expect(await jobs.submit(newJob({ idempotencyKey: 'k' }))).toEqual({ jobId, created: false });
  const sweeper = jobs.startSweeper({ everyMs: 50, forgottenAfterMs: 100 });
  fixture.onEnd(() => sweeper.stop());
  expect((await lastEvent(jobs, jobId)).type).toBe('completed');
});

test('a job that was started but not struck off is not started twice', async () => {
  let runs = 0;
  const jobs = fixture.open();
  const { jobId } = await jobs.submit(newJob());
  fixture.startStage({
    stage: 'encode',
    concurrency: 1,
    process: () => {
      runs += 1;
      return Promise.resolve(encoded);
    },
  });
  await until(async () => (await jobs.depth()).generate.waiting === 1);
  await jobs.redis.zadd(KEYS.unsent, 1, jobId);
  const sweeper = jobs.startSweeper({ everyMs: 20, forgottenAfterMs: 0 });
  fixture.onEnd(() => sweeper.stop());
  await until(async () => (await jobs.redis.zscore(KEYS.unsent, jobId)) === null);
  fixture.startStage({ stage: 'generate', concurrency: 1, process: () => Promise.resolve(generated()) });
  fixture.startAnswers();
  expect((await lastEvent(jobs, jobId)).type).toBe('completed');
  expect(runs).toBe(1);
});

test.each(['generate', 'decode'] as const)('a tensor that is gone at %s is computed again', async (stage) => {
  let encodes = 0;
  const owners: string[] = [];
  fixture.startWorkers({
    encode: () => Promise.resolve({ ...encoded, owner: `encoder-${++encodes}` }),
    generate: async (context) => {
      if (stage === 'generate') {
        owners.push(context.encoded.owner);
        if (encodes === 1) return gone();
      }
      await context.addDecode(prompt(0));
      return generated({ segments: 1 });
    },
    decode: async (context) => {
      if (stage === 'decode') {
        owners.push(context.encoded.owner);
        if (encodes === 1) return gone();
      }
      return segment(context.prompt.index);
    },
  });
  const jobs = fixture.open();
  const { jobId } = await jobs.submit(newJob());
  expect((await lastEvent(jobs, jobId)).type).toBe('completed');
  expect(owners).toEqual(['encoder-1', 'encoder-2']);
  const record = await jobs.store.get(jobId);
  expect(record.recomputes).toBe(1);
  expect(record.answer?.cache.image).toBe(false);
});

test('a picture that is encoded again before its task could step aside is used at once', async () => {
  let encodes = 0;
  const owners: string[] = [];
  fixture.startStage({
    stage: 'encode',
    concurrency: 1,
    process: () => Promise.resolve({ ...encoded, owner: `encoder-${++encodes}` }),
  });
  fixture.startAnswers();
  const jobs = fixture.open();
  const { connection: redis, store, flows } = jobs;
  const addEncode: typeof flows.addEncode = async (...task) => {
    await flows.addEncode(...task);
    await until(async () => encodes === 2 && (await jobs.depth()).encode.active === 0);
  };
  const slow = Object.assign(Object.create(flows) as typeof flows, { addEncode });
  Object.defineProperty(slow, 'addDecode', { value: flows.addDecode.bind(flows) });
  Object.defineProperty(slow, 'withdraw', { value: flows.withdraw.bind(flows) });
  const host = new StageHost(
    { redis, store, flows: slow, signals: new JobSignals(redis), load: new LoadScripts(redis) },
    {
      stage: 'generate',
      concurrency: 1,
      process: (context) => (owners.push(context.encoded.owner) === 1 ? gone() : Promise.resolve(generated())),
    },
  );
  void host.start();
  fixture.onEnd(() => host.close({ graceMs: 0 }));
  const { jobId } = await jobs.submit(newJob());
  expect((await lastEvent(jobs, jobId)).type).toBe('completed');
  expect(owners).toEqual(['encoder-1', 'encoder-2']);
});

test('computing again is bounded', async () => {
  let encodes = 0;
  fixture.startWorkers({
    encode: () => Promise.resolve({ ...encoded, owner: `encoder-${++encodes}` }),
    generate: gone,
  });
  const jobs = fixture.open();
  const { jobId } = await jobs.submit(newJob());
  expect(await lastEvent(jobs, jobId)).toMatchObject({ type: 'failed', error: { code: 'UNAVAILABLE' } });
  expect(encodes).toBe(4);
  await until(async () => (await (await jobs.home()).keys(`${PREFIX}:segue.*${jobId}*`)).length === 0);
});

test('a failure of the encoder in computing again fails the job with its error', async () => {
  let encodes = 0;
  fixture.startWorkers({
    encode: () =>
      ++encodes === 1 ? Promise.resolve(encoded) : Promise.reject(new SegueError('NOT_FOUND', 'The picture is gone.')),
    generate: gone,
  });
  const jobs = fixture.open();
  const { jobId } = await jobs.submit(newJob());
  expect(await lastEvent(jobs, jobId)).toMatchObject({ type: 'failed', error: { code: 'NOT_FOUND' } });
  await until(async () => (await (await jobs.home()).keys(`${PREFIX}:segue.*${jobId}*`)).length === 0);
});

/** Takes a task as a worker does that is killed right then: its lock is never renewed. */
async function takeAndDie(jobs: OpenedJobs, queue: keyof typeof QUEUES): Promise<void> {
  const worker = new Worker(QUEUES[queue], null, {
    connection: jobs.redis,
    prefix: PREFIX,
    lockDuration: 1_000,
    stalledInterval: 2_000,
    maxStalledCount: 1_000,
  });
  await until(async () => (await worker.getNextJob('dead', { block: false })) !== undefined);
  await worker.close(true);
}

test('the task of a worker that was killed is taken over within 12 s', async () => {
  const jobs = fixture.open();
  fixture.startStage({ stage: 'encode', concurrency: 1, process: fakeStages.encode });
  fixture.startStage({ stage: 'decode', concurrency: 1, process: fakeStages.decode });
  fixture.startAnswers();
  const { jobId } = await jobs.submit(newJob());
  await takeAndDie(jobs, 'generate');
  const start = Date.now();
  fixture.startStage({ stage: 'generate', concurrency: 1, process: fakeStages.generate });
  expect((await lastEvent(jobs, jobId)).type).toBe('completed');
  expect(Date.now() - start).toBeLessThan(12_000);
  expect(Date.now() - start).toBeGreaterThan(2_000);
});

test('a task that ends its process in every run is a dead letter, and its neighbour is not', async () => {
  const jobs = fixture.open();
  const poison = await jobs.submit(newJob());
  const innocent = await jobs.submit(newJob());
  // Three workers that began the one, the last of them also the other, and were killed.
  const diedIn = ['pod-a/7', 'pod-b/7', 'pod-a/8'];
  for (const worker of diedIn) await jobs.store.begin(poison.jobId, 'encode', poison.jobId, worker);
  await jobs.store.begin(innocent.jobId, 'encode', innocent.jobId);
  await takeAndDie(jobs, 'encode');
  await takeAndDie(jobs, 'encode');
  let inside = 0;
  let most = 0;
  const begun: string[] = [];
  fixture.startWorkers({
    async encode(context) {
      most = Math.max(most, ++inside);
      begun.push(context.request.imageId);
      await new Promise((resolve) => setTimeout(resolve, 100));
      inside--;
      return fakeStages.encode(context);
    },
  });
  expect(await lastEvent(jobs, poison.jobId)).toMatchObject({ type: 'failed', error: { code: 'INTERNAL' } });
  expect((await lastEvent(jobs, innocent.jobId)).type).toBe('completed');
  expect([begun.length, most]).toEqual([1, 1]);
  expect(await jobs.deadLetters.list()).toMatchObject([{ jobId: poison.jobId, queue: 'encode', deaths: 3, diedIn }]);
  const replayed = await jobs.replay(poison.jobId);
  expect((await lastEvent(jobs, replayed)).type).toBe('completed');
  expect(await jobs.deadLetters.list()).toEqual([]);
});

test('suspects run alone', async () => {
  const jobs = fixture.open();
  for (let job = 0; job < 3; job++) await jobs.submit(newJob());
  for (let job = 0; job < 3; job++) await takeAndDie(jobs, 'encode');
  const { jobId } = await jobs.submit(newJob());
  let inside = 0;
  let most = 0;
  fixture.startWorkers({
    async encode(context) {
      most = Math.max(most, ++inside);
      await new Promise((resolve) => setTimeout(resolve, 50));
      inside--;
      return fakeStages.encode(context);
    },
  });
  await lastEvent(jobs, jobId);
  await until(async () => Object.values(await jobs.depth()).every(({ waiting, active }) => waiting + active === 0));
  expect(most).toBe(1);
});

test.each(['null', '7', '{}', '{"jobId":"x"}', '[]'])(
  'a task that is none (%s) is a dead letter and stops nobody',
  async (data) => {
    const jobs = fixture.open();
    const queue = new Queue(QUEUES.encode, { connection: jobs.redis, prefix: PREFIX });
    await queue.add('encode', {});
    const [task] = await queue.getWaiting();
    await jobs.redis.hset(queue.toKey(task!.id!), 'data', data);
    fixture.startWorkers();
    await until(async () => (await jobs.deadLetters.list()).length === 1);
    const { jobId } = await jobs.submit(newJob());
    expect((await lastEvent(jobs, jobId)).type).toBe('completed');
    await queue.close();
  },
);

test('a job whose record is gone is dropped', async () => {
  const jobs = fixture.open();
  const { jobId } = await jobs.submit(newJob({ request: request() }));
  await jobs.redis.del(KEYS.record(jobId), KEYS.events(jobId));
  fixture.startWorkers();
  await until(async () => (await (await jobs.home()).keys(`*${jobId}*`)).length === 0);
});

test('a record that nobody can read keeps no other job from its deadline, its start and its count', async () => {
  const jobs = fixture.open();
  const broken = 'b'.repeat(32);
  await jobs.redis.hset(KEYS.record(broken), { state: 'running', request: '{', turn: 'x', tenant: 'public' });
  await jobs.redis.zadd(KEYS.deadlines, 0, broken);
  await jobs.redis.zadd(KEYS.unsent, 0, broken);
  await jobs.redis.rpush(KEYS.ended, broken);
  const { jobId } = await jobs.store.create(newJob({ timeoutMs: 300 }));
  const sweeper = jobs.startSweeper({ everyMs: 50, forgottenAfterMs: 0 });
  await until(async () => (await jobs.get(jobId)).state === 'failed');
  await until(async () => (await jobs.redis.zcard(KEYS.deadlines)) + (await jobs.redis.zcard(KEYS.unsent)) === 0);
  await sweeper.stop();
  expect((await jobs.takeEnded(10)).map((record) => record.jobId)).toEqual([jobId]);
  const [letter] = await jobs.deadLetters.list();
  expect(letter).toMatchObject({ jobId: broken, reason: 'its record cannot be read' });
});

test('a job that a version without turns wrote down ends as any other', async () => {
  const jobs = fixture.open();
  const jobId = 'c'.repeat(32);
  const deadline = Date.now() + 60_000;
  await jobs.redis.hset(KEYS.record(jobId), {
    ...{ digest: 'd', state: 'queued', createdAtMs: Date.now(), deadlineAtMs: deadline, keepMs: 60_000 },
    ...{ tenant: 'public', request: JSON.stringify(request()), text: '', idempotency: '' },
  });
  await jobs.redis.xadd(
    KEYS.events(jobId),
    '*',
    'body',
    JSON.stringify({ type: 'accepted', imageId: request().imageId }),
  );
  await jobs.redis.zadd(KEYS.deadlines, deadline, jobId);
  await jobs.flows.start(jobId, { priority: 'normal' });
  const { jobId: later } = await jobs.submit(newJob());
  fixture.startWorkers();
  expect((await lastEvent(jobs, jobId)).type).toBe('completed');
  expect((await lastEvent(jobs, later)).type).toBe('completed');
  expect(await jobs.redis.zcard(KEYS.deadlines)).toBe(0);
});

test('who has lost the lock of a task says so when it ends, and blames no connection', async () => {
  const said: string[] = [];
  const say = (_fields: object, message: string): void => void said.push(message);
  const jobs = fixture.open({ log: { info: say, warn: say, error: say } });
  let go = (): void => undefined;
  const given = new Promise<void>((resolve) => (go = resolve));
  let begun = false;
  const host = jobs.stageHost({
    stage: 'encode',
    concurrency: 1,
    process: async () => {
      begun = true;
      await given;
      return encoded;
    },
  });
  fixture.onEnd(() => host.close({ graceMs: 0 }));
  void host.start();
  const { jobId } = await jobs.submit(newJob());
  await until(() => begun);
  await jobs.redis.del(`${PREFIX}:${QUEUES.encode}:${jobId}:lock`);
  go();
  await until(() => host.active === 0);
  await until(() => said.some((message) => message.startsWith('the end of a task counts no more')));
  expect(said).not.toContain('redis connection');
});
