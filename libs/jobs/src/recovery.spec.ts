import { SegueError } from '@segue/core';
import { Queue, Worker } from 'bullmq';
import { expect, test } from 'vitest';

import {
  encoded,
  fakeStages,
  generated,
  lastEvent,
  newJob,
  prompt,
  request,
  segment,
  until,
  useJobs,
} from './jobs.fixture.js';
import { JobSweeper } from './job-sweeper.js';
import { KEYS, PREFIX } from './keys.js';
import { QUEUES } from './queues.js';
import { StageHost } from './stage-host.js';
import { LOCKS } from './task-host.js';

const fixture = useJobs();
const gone = () => Promise.reject(new SegueError('UNAVAILABLE', 'The tensors are gone.', { reason: 'TENSOR_GONE' }));

test('a job that was written down but not started is started', async () => {
  fixture.startWorkers();
  const jobs = fixture.open();
  const { jobId } = await jobs.store.create(newJob({ idempotencyKey: 'k' }));
  expect(await jobs.producer.submit(newJob({ idempotencyKey: 'k' }))).toEqual({ jobId, created: false });
  const sweeper = new JobSweeper(jobs, { everyMs: 50, forgottenAfterMs: 100 });
  sweeper.start();
  fixture.onEnd(() => sweeper.stop());
  expect((await lastEvent(jobs, jobId)).type).toBe('completed');
});

test('a job that was started but not struck off is not started twice', async () => {
  const runs: string[] = [];
  const jobs = fixture.open();
  const { jobId } = await jobs.producer.submit(newJob());
  fixture.startStage({
    stage: 'encode',
    concurrency: 1,
    process: (context) => {
      runs.push(context.jobId);
      return Promise.resolve(encoded);
    },
  });
  await until(async () => (await jobs.producer.depth()).generate.waiting === 1);
  await jobs.redis.zadd(KEYS.unsent, 1, jobId);
  expect(await jobs.producer.startForgotten(0)).toBe(1);
  expect(await jobs.producer.startForgotten(0)).toBe(0);
  fixture.startStage({ stage: 'generate', concurrency: 1, process: () => Promise.resolve(generated()) });
  fixture.startAnswers();
  expect((await lastEvent(jobs, jobId)).type).toBe('completed');
  expect(runs).toEqual([jobId]);
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
  const { jobId } = await jobs.producer.submit(newJob());
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
  const addEncode: typeof jobs.producer.addEncode = async (...task) => {
    await jobs.producer.addEncode(...task);
    await until(async () => encodes === 2 && (await jobs.producer.depth()).encode.active === 0);
  };
  const host = new StageHost({
    stage: 'generate',
    jobs: { ...jobs, producer: Object.assign(Object.create(jobs.producer) as typeof jobs.producer, { addEncode }) },
    concurrency: 1,
    process: (context) => (owners.push(context.encoded.owner) === 1 ? gone() : Promise.resolve(generated())),
  });
  void host.start();
  fixture.onEnd(() => host.close({ graceMs: 0 }));
  const { jobId } = await jobs.producer.submit(newJob());
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
  const { jobId } = await jobs.producer.submit(newJob());
  expect(await lastEvent(jobs, jobId)).toMatchObject({ type: 'failed', error: { code: 'UNAVAILABLE' } });
  expect(encodes).toBe(4);
  await until(async () => (await jobs.redis.keys(`${PREFIX}:segue.*${jobId}*`)).length === 0);
});

test('a mask is made by the version of the model that wrote its words', async () => {
  let encodes = 0;
  const decoded: string[] = [];
  fixture.startWorkers({
    encode: () => Promise.resolve({ ...encoded, key: `${++encodes === 1 ? 'old' : 'new'}/image` }),
    generate: async ({ addDecode }) => {
      await addDecode(prompt(0));
      return generated({ segments: 1 });
    },
    decode: (context) => {
      decoded.push(context.encoded.key);
      return gone();
    },
  });
  const jobs = fixture.open();
  const { jobId } = await jobs.producer.submit(newJob());
  const last = await lastEvent(jobs, jobId);
  expect(last).toMatchObject({
    type: 'failed',
    error: { code: 'UNAVAILABLE', message: expect.stringContaining('updated') },
  });
  expect(decoded).toEqual(['old/image']);
});

test('a failure of the encoder in computing again fails the job with its error', async () => {
  let encodes = 0;
  fixture.startWorkers({
    encode: () =>
      ++encodes === 1 ? Promise.resolve(encoded) : Promise.reject(new SegueError('NOT_FOUND', 'The picture is gone.')),
    generate: gone,
  });
  const jobs = fixture.open();
  const { jobId } = await jobs.producer.submit(newJob());
  expect(await lastEvent(jobs, jobId)).toMatchObject({ type: 'failed', error: { code: 'NOT_FOUND' } });
  await until(async () => (await jobs.redis.keys(`${PREFIX}:segue.*${jobId}*`)).length === 0);
});

/** Takes a task as a worker does that is killed right then: its lock is never renewed. */
async function takeAndDie(jobs: ReturnType<typeof fixture.open>, queue: keyof typeof QUEUES): Promise<void> {
  const worker = new Worker(QUEUES[queue], null, { connection: jobs.redis, prefix: PREFIX, ...LOCKS });
  await until(async () => (await worker.getNextJob('dead', { block: false })) !== undefined);
  await worker.close(true);
}

test('the task of a worker that was killed is taken over within 12 s', async () => {
  const jobs = fixture.open();
  fixture.startStage({ stage: 'encode', concurrency: 1, process: fakeStages.encode });
  fixture.startStage({ stage: 'decode', concurrency: 1, process: fakeStages.decode });
  fixture.startAnswers();
  const { jobId } = await jobs.producer.submit(newJob());
  await takeAndDie(jobs, 'generate');
  const start = Date.now();
  fixture.startStage({ stage: 'generate', concurrency: 1, process: fakeStages.generate });
  expect((await lastEvent(jobs, jobId)).type).toBe('completed');
  expect(Date.now() - start).toBeLessThan(12_000);
  expect(Date.now() - start).toBeGreaterThan(2_000);
});

test('a task that kills every worker fails its job', async () => {
  const jobs = fixture.open();
  const { jobId } = await jobs.producer.submit(newJob());
  const queue = new Queue(QUEUES.encode, { connection: jobs.redis, prefix: PREFIX });
  await jobs.redis.hset(queue.toKey(jobId), 'stc', 3);
  await takeAndDie(jobs, 'encode');
  fixture.startWorkers();
  expect(await lastEvent(jobs, jobId)).toMatchObject({ type: 'failed', error: { code: 'UNAVAILABLE' } });
  await until(async () => (await jobs.redis.keys(`${PREFIX}:segue.*${jobId}*`)).length === 0);
});

test('a job whose record is gone is dropped', async () => {
  const jobs = fixture.open();
  const { jobId } = await jobs.producer.submit(newJob({ request: request() }));
  await jobs.redis.del(KEYS.record(jobId), KEYS.events(jobId));
  fixture.startWorkers();
  await until(async () => (await jobs.redis.keys(`*${jobId}*`)).length === 0);
});
