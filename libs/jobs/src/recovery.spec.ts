import { setTimeout as sleep } from 'node:timers/promises';
import { SegueError, type Stage } from '@segue/core';
import type { StageProcessor } from '@segue/stages';
import { Queue, Worker } from 'bullmq';
import { describe, expect, test } from 'vitest';

import {
  encoded,
  eventsOf,
  fakeStages,
  generated,
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
const gone = () => Promise.reject(new SegueError('UNAVAILABLE', 'The tensors are gone.', { reason: 'TENSOR_GONE' }));

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

test('words whose masks cannot be made any more are written again, by the bundle that makes the masks', async () => {
  let encodes = 0;
  const decoded: string[] = [];
  fixture.startWorkers({
    encode: () => Promise.resolve({ ...encoded, key: `${++encodes === 1 ? 'old' : 'new'}/image` }),
    generate: async ({ encoded: { key }, writeText, addDecode }) => {
      await writeText({ offset: 0, text: `${key} <SEG>` });
      await addDecode(prompt(0));
      return generated({ text: `${key} <SEG>`, segments: 1 });
    },
    decode: ({ encoded: { key }, prompt: { index } }) => {
      decoded.push(key);
      return key.startsWith('old') ? gone() : Promise.resolve({ ...segment(index), phrase: key });
    },
  });
  const jobs = fixture.open();
  const { jobId } = await jobs.submit(newJob());
  expect(await lastEvent(jobs, jobId)).toMatchObject({
    type: 'completed',
    answer: { text: 'new/image <SEG>', segments: [{ phrase: 'new/image' }] },
  });
  expect(decoded).toEqual(['old/image', 'new/image']);
});

test('a worker that dies while it has an answer begun anew leaves it to the next one', async () => {
  const jobs = fixture.open();
  const { jobId } = await jobs.submit(newJob());
  let written = 0;
  fixture.startStage({ stage: 'encode', concurrency: 1, process: fakeStages.encode });
  fixture.startStage({
    stage: 'generate',
    concurrency: 1,
    process: (context) => (written++, fakeStages.generate(context)),
  });
  await until(async () => (await jobs.depth()).decode.waiting === 2 && written === 1);
  await jobs.store.beginAnew(jobId, 0);
  fixture.startStage({ stage: 'decode', concurrency: 2, process: fakeStages.decode });
  fixture.startAnswers();
  expect(await lastEvent(jobs, jobId)).toMatchObject({ type: 'completed', answer: { segments: [{}, {}] } });
  expect(written).toBe(2);
});

describe('while one bundle takes the place of another', () => {
  const bundleOf = (digest: string) => ({ id: `tiny-random@${digest}`, digest });
  /** One worker of each stage, which answers with its own bundle's name. */
  const start = <S extends Stage>(stage: S, digest: string, process: StageProcessor<S>) =>
    fixture.startStage({ stage, concurrency: 4, bundle: bundleOf(digest), process });
  const encoder = (digest: string) =>
    start('encode', digest, () => Promise.resolve({ ...encoded, key: `${digest}/image` }));
  const llm = (digest: string, wait?: () => Promise<unknown>) =>
    start('generate', digest, async ({ encoded: { key }, writeText, addDecode }) => {
      if (!key.startsWith(digest)) throw new Error(`${digest} got ${key}`);
      await writeText({ offset: 0, text: `${digest} <SEG>` });
      await addDecode(prompt(0));
      await wait?.();
      return generated({ text: `${digest} <SEG>`, segments: 1 });
    });
  const decoder = (digest: string) =>
    start('decode', digest, ({ encoded: { key }, prompt: { index } }) => {
      if (!key.startsWith(digest)) throw new Error(`${digest} got ${key}`);
      return Promise.resolve({ ...segment(index), phrase: digest });
    });
  const answerOf = (digest: string) => ({
    type: 'completed',
    answer: { text: `${digest} <SEG>`, segments: [{ phrase: digest }] },
  });
  const heardOf = (jobs: OpenedJobs, stage: Stage, count: number) =>
    until(async () => (await jobs.workers(stage)).length === count);

  test('a task waits for the worker that can do it, for longer than any number of attempts', async () => {
    const jobs = fixture.open();
    encoder('new');
    llm('old');
    decoder('new');
    fixture.startAnswers();
    const { jobId } = await jobs.submit(newJob());
    await until(async () => (await jobs.redis.hget(KEYS.record(jobId), 'generate.startedAtMs')) !== null);
    await sleep(4_000);
    expect((await jobs.get(jobId)).state).toBe('running');
    llm('new');
    expect(await lastEvent(jobs, jobId)).toMatchObject(answerOf('new'));
    expect((await jobs.get(jobId)).recomputes).toBe(0);
  });

  test('a picture is encoded again once nobody can go on with what it was encoded by', async () => {
    const jobs = fixture.open();
    const old = encoder('old');
    decoder('new');
    fixture.startAnswers();
    const { jobId } = await jobs.submit(newJob());
    await until(async () => (await jobs.depth()).generate.waiting === 1);
    llm('new');
    await sleep(1_500);
    expect((await jobs.get(jobId)).recomputes).toBe(0); // the encoder would only do the same again
    encoder('new');
    await heardOf(jobs, 'encode', 2);
    expect(await lastEvent(jobs, jobId)).toMatchObject(answerOf('new'));
    await old.close({ graceMs: 0 });
  });

  test('an answer that is being written is begun anew when nobody makes its masks any more', async () => {
    const jobs = fixture.open();
    encoder('old');
    const old = llm('old', () => sleep(2_000));
    decoder('new');
    fixture.startAnswers();
    await heardOf(jobs, 'decode', 1);
    await jobs.redis.del(KEYS.workers('decode')); // not heard of when the words are begun
    const { jobId } = await jobs.submit(newJob());
    await until(async () => (await jobs.get(jobId)).epoch === 1);
    llm('new');
    encoder('new');
    await old.close({ graceMs: 0 });
    const events = await eventsOf(jobs, jobId);
    expect(events.at(-1)).toMatchObject(answerOf('new'));
    expect(events.filter(({ type }) => type === 'restarted')).not.toEqual([]);
  });

  test('a job of a model that nobody serves fails', async () => {
    const jobs = fixture.open();
    fixture.startStage({
      stage: 'encode',
      concurrency: 1,
      bundle: { id: 'other@1', digest: 'o' },
      process: fakeStages.encode,
    });
    const { jobId } = await jobs.submit(newJob());
    expect(await lastEvent(jobs, jobId)).toMatchObject({
      type: 'failed',
      error: { code: 'UNAVAILABLE', message: expect.stringContaining('"tiny-random" is not served') },
    });
  });
});

test('an answer that goes on with another version of the model is begun anew, with no mask of the one before', async () => {
  let encodes = 0;
  const jobs = fixture.open();
  fixture.startWorkers({
    encode: () => Promise.resolve({ ...encoded, key: `${++encodes === 1 ? 'old' : 'new'}/image` }),
    generate: async ({ encoded: { key }, addDecode, writeText }) => {
      await writeText({ offset: 0, text: 'The cup <SEG>' });
      await addDecode(prompt(0));
      if (key.startsWith('old')) {
        await until(() => jobs.store.hasSegment(jobId, 0));
        await addDecode(prompt(1)); // its mask is still to be made
        return gone();
      }
      await writeText({ offset: 13, text: ' and the spoon <SEG>.' });
      await addDecode(prompt(1));
      return generated({ text: 'The cup <SEG> and the spoon <SEG>.', segments: 2 });
    },
    decode: async ({ encoded: { key }, prompt: { index } }) => {
      if (key.startsWith('old') && index === 1) await until(() => encodes === 2);
      return { ...segment(index), phrase: key };
    },
  });
  const { jobId } = await jobs.submit(newJob());
  expect(await lastEvent(jobs, jobId)).toMatchObject({
    type: 'completed',
    answer: { segments: [{ phrase: 'new/image' }, { phrase: 'new/image' }] },
  });
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
  for (let death = 0; death < 3; death++) await jobs.store.begin(poison.jobId, 'encode', poison.jobId);
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
  expect(await jobs.deadLetters.list()).toMatchObject([{ jobId: poison.jobId, queue: 'encode', deaths: 3 }]);
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
