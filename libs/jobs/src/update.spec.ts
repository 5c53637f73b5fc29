import { setTimeout as sleep } from 'node:timers/promises';
import type { Stage } from '@segue/core';
import { KEYS } from '@segue/redis';
import type { StageProcessor } from '@segue/stages';
import { describe, expect, test } from 'vitest';

import {
  encoded,
  eventsOf,
  fakeStages,
  generated,
  gone,
  lastEvent,
  newJob,
  prompt,
  segment,
  until,
  useJobs,
  type OpenedJobs,
} from './jobs.fixture.js';

const fixture = useJobs();

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
