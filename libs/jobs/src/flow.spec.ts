import { SegueError } from '@segue/core';
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
  request,
  segment,
  until,
  useJobs,
  type OpenedJobs,
} from './jobs.fixture.js';
import { KEYS, PREFIX } from '@segue/redis';

const fixture = useJobs();

/** What is left of a job besides its record, its log and its place among the ended: own keys, members of the queues' keys. */
async function leftovers(jobs: OpenedJobs, jobId: string): Promise<string[]> {
  const redis = await jobs.home();
  const own = (await redis.keys('*')).filter((key) => key.includes(jobId));
  const members = async (key: string): Promise<string[]> => {
    const type = await redis.type(key);
    if (type === 'zset') return redis.zrange(key, '0', '-1');
    if (type === 'set') return redis.smembers(key);
    return type === 'list' ? redis.lrange(key, 0, -1) : [];
  };
  const shared: string[] = [];
  for (const key of await redis.keys(`${PREFIX}:*`)) {
    // Those who count and list jobs forget them by themselves.
    if (key === KEYS.ended || key === KEYS.jobsOf('public')) continue;
    if ((await members(key)).some((member) => member.includes(jobId))) shared.push(key);
  }
  return [...own.filter((key) => key !== KEYS.record(jobId) && key !== KEYS.events(jobId)), ...shared];
}

test('a job goes through all stages, and masks come before the text has ended', async () => {
  let release: () => void = () => undefined;
  const firstMask = new Promise<void>((resolve) => (release = resolve));
  fixture.startWorkers({
    async generate(context) {
      await context.writeText({ offset: 0, text: 'The cup <SEG>' });
      await context.addDecode(prompt(0));
      await firstMask;
      await context.writeText({ offset: 13, text: ' and the spoon <SEG>.' });
      await context.addDecode(prompt(1));
      return generated({ text: 'The cup <SEG> and the spoon <SEG>.', segments: 2 });
    },
  });
  const jobs = fixture.open({ role: 'producer' });
  await until(() => jobs.ping());
  const { jobId } = await jobs.submit(newJob());
  const kinds: string[] = [];
  for await (const event of jobs.events(jobId)) {
    if (event.type === 'segment') release();
    kinds.push(event.type === 'stage' ? `${event.stage} ${event.done ? 'done' : 'started'}` : event.type);
  }
  expect(kinds.slice(0, 7)).toEqual([
    'accepted',
    'encode started',
    'encode done',
    'generate started',
    'text',
    'decode started',
    'segment',
  ]);
  expect(kinds.filter((kind) => kind === 'segment')).toHaveLength(2);
  expect(kinds.slice(-2)).toEqual(['decode done', 'completed']);

  const { answer, state } = await jobs.store.get(jobId);
  expect(state).toBe('completed');
  expect(answer).toMatchObject({
    jobId,
    text: 'The cup <SEG> and the spoon <SEG>.',
    segments: [segment(0), segment(1)],
    model: 'tiny-random@0.1.0',
    finishReason: 'stop',
    cache: { image: false, prefix: false },
    imageId: request().imageId,
    usage: { promptTokens: 12, completionTokens: 5 },
  });
  const { queue, encode, generate, decode, total } = answer!.timingsMs;
  expect([queue, encode, generate, decode].every((ms) => ms >= 0)).toBe(true);
  expect(queue + encode + generate).toBeLessThanOrEqual(total);
  const last = await lastEvent(jobs, jobId);
  expect(last.type === 'completed' && last.answer).toEqual(answer);
  await until(async () => (await leftovers(jobs, jobId)).length === 0);
});

test('after its lifetime nothing of a job is left', async () => {
  fixture.startWorkers();
  const jobs = fixture.open({ jobKeepMs: 300 });
  const { jobId } = await jobs.submit(newJob());
  await lastEvent(jobs, jobId);
  await until(async () => (await leftovers(jobs, jobId)).length === 0);
  await until(async () => (await jobs.redis.exists(KEYS.record(jobId), KEYS.events(jobId))) === 0);
  expect(await jobs.redis.exists(KEYS.deadlines, KEYS.unsent)).toBe(0);
});

test('each stage is given what it needs', async () => {
  const seen: Record<string, unknown> = {};
  fixture.startWorkers({
    encode: (context) => {
      seen.encode = context.request;
      return Promise.resolve(encoded);
    },
    generate: async (context) => {
      seen.generate = context.encoded;
      await context.addDecode(prompt(0));
      return generated({ segments: 1 });
    },
    decode: (context) => {
      seen.decode = [context.encoded, context.prompt];
      return Promise.resolve(segment(context.prompt.index));
    },
  });
  const jobs = fixture.open();
  const { jobId } = await jobs.submit(newJob());
  expect((await lastEvent(jobs, jobId)).type).toBe('completed');
  expect(seen).toEqual({ encode: request(), generate: encoded, decode: [encoded, prompt(0)] });
});

test('an answer without segments is a success', async () => {
  fixture.startWorkers({ generate: () => Promise.resolve(generated()) });
  const jobs = fixture.open();
  const { jobId } = await jobs.submit(newJob());
  expect(await lastEvent(jobs, jobId)).toMatchObject({
    type: 'completed',
    answer: { segments: [], text: 'Nothing here.' },
  });
});

test('a prompt that a second run asks for again is decoded once', async () => {
  const decodedIndices: number[] = [];
  let attempts = 0;
  fixture.startWorkers({
    async generate(context) {
      attempts += 1;
      await fakeStages.generate(context);
      await until(() => decodedIndices.length === 2);
      if (attempts === 1) throw new SegueError('UNAVAILABLE', 'Try again.');
      return generated({ text: 'The cup <SEG> and the spoon <SEG>.', segments: 2 });
    },
    async decode(context) {
      decodedIndices.push(context.prompt.index);
      return fakeStages.decode(context);
    },
  });
  const jobs = fixture.open();
  const { jobId } = await jobs.submit(newJob());
  const events = await eventsOf(jobs, jobId);
  expect(attempts).toBe(2);
  expect(decodedIndices.sort()).toEqual([0, 1]);
  const text = events.flatMap((event) => (event.type === 'text' ? [event.text] : [])).join('');
  expect(text).toBe('The cup <SEG> and the spoon <SEG>.');
  expect(events.filter((event) => event.type === 'segment')).toHaveLength(2);
  expect(events.at(-1)?.type).toBe('completed');
});

test.each(['encode', 'generate', 'decode'] as const)(
  'a failure in %s fails the job at once, with its own error',
  async (stage) => {
    let generateStopped: unknown;
    const broken = () =>
      Promise.reject(new SegueError('INVALID_ARGUMENT', 'Not with this picture.', { details: { stage } }));
    fixture.startWorkers({
      generate: async (context) => {
        await context.addDecode(prompt(0));
        await forever(context.signal).catch((error: unknown) => (generateStopped = error));
        throw new Error('stopped');
      },
      [stage]: broken,
    });
    const jobs = fixture.open();
    const { jobId } = await jobs.submit(newJob());
    expect(await lastEvent(jobs, jobId)).toMatchObject({
      type: 'failed',
      error: { code: 'INVALID_ARGUMENT', message: 'Not with this picture.', details: { stage } },
    });
    if (stage === 'decode') await until(() => (generateStopped as SegueError | undefined)?.code === 'INVALID_ARGUMENT');
    await until(async () => (await leftovers(jobs, jobId)).length === 0);
  },
);

test('a defect fails the job without telling its inside', async () => {
  fixture.startWorkers({ generate: () => Promise.reject(new TypeError('x is not a function')) });
  const jobs = fixture.open();
  const { jobId } = await jobs.submit(newJob());
  const last = await lastEvent(jobs, jobId);
  expect(last).toMatchObject({ type: 'failed', error: { code: 'INTERNAL' } });
  expect(JSON.stringify(last)).not.toContain('x is not a function');
});

test('a passing failure is tried again, three times in all', async () => {
  let attempts = 0;
  fixture.startWorkers({
    encode: () => {
      attempts += 1;
      return Promise.reject(new SegueError('UNAVAILABLE', 'Not now.'));
    },
  });
  const jobs = fixture.open();
  const { jobId } = await jobs.submit(newJob());
  expect(await lastEvent(jobs, jobId)).toMatchObject({
    type: 'failed',
    error: { code: 'UNAVAILABLE', message: 'Not now.' },
  });
  expect(attempts).toBe(3);
  await until(async () => (await leftovers(jobs, jobId)).length === 0);
});

test('what travels through the queues is small', async () => {
  const jobs = fixture.open();
  const { jobId } = await jobs.submit(newJob({ request: request({ instruction: 'x'.repeat(10_000) }) }));
  const origin = { digest: 'd'.repeat(64), epoch: 0, addedAtMs: Date.now() };
  await jobs.flows.addDecode(
    jobId,
    { priority: 'normal' },
    { ...prompt(0), phrase: 'a phrase of usual length' },
    origin,
  );
  const tasks = (await (await jobs.home()).keys(`${PREFIX}:segue.*`)).filter((key) =>
    /:[0-9a-f]{32}(-\d+-\d+)?$/.test(key),
  );
  expect(tasks).toHaveLength(4);
  for (const task of tasks) expect((await jobs.redis.hget(task, 'data'))!.length).toBeLessThan(4096);
  const huge = { ...prompt(1), embedding: new Float32Array(1024) };
  await expect(jobs.flows.addDecode(jobId, { priority: 'normal' }, huge, origin)).rejects.toThrow('exceeds the limit');
});

test('a job of higher priority goes first', async () => {
  const jobs = fixture.open();
  const order: string[] = [];
  for (const priority of ['low', 'normal', 'high'] as const) {
    await jobs.submit(newJob({ request: request({ priority, instruction: priority }) }));
  }
  expect((await jobs.depth()).encode).toMatchObject({ waiting: 3, active: 0 });
  fixture.startStage({
    stage: 'encode',
    concurrency: 1,
    process: (context) => {
      order.push(context.request.instruction);
      return Promise.resolve(encoded);
    },
  });
  await until(() => order.length === 3);
  expect(order).toEqual(['high', 'normal', 'low']);
});
