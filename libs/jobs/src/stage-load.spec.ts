import { expect, it } from 'vitest';
import { stageLoads } from './stage-load.js';
import { KEYS } from '@segue/redis';
import { lastEvent, until, useJobs, newJob } from './jobs.fixture.js';

const SEEDS = { encode: 10, generate: 2, decode: 8 };
const NOTHING = { done: 0, busyMs: 0, busyDone: 0 };
const EMPTY = { waiting: 0, active: 0, coming: 0 };
const DEPTH = { segment: EMPTY, encode: EMPTY, generate: EMPTY, decode: EMPTY };
const fixture = useJobs();

it('is nothing where nothing is, at the rates that were given', () => {
  const loads = stageLoads(DEPTH, { arrivalsPerSecond: 0, work: () => NOTHING }, [], SEEDS);
  expect(loads.generate).toEqual({
    tasks: 0,
    tasksPerSecond: 2,
    backlogSeconds: 0,
    demandWorkers: 0,
    workers: 0,
    busy: 0,
  });
});

it('tells how many workers there are and how full their hands', () => {
  const workers = [
    { stage: 'encode', active: 3, concurrency: 4 },
    { stage: 'encode', active: 0, concurrency: 8 },
    { stage: 'decode', active: 0, concurrency: 4 },
  ] as const;
  const { encode, generate, decode } = stageLoads(DEPTH, { arrivalsPerSecond: 0, work: () => NOTHING }, workers, SEEDS);
  expect([encode, generate, decode].map(({ workers: count, busy }) => [count, busy])).toEqual([
    [2, 0.25],
    [0, 0],
    [1, 0],
  ]);
});

it('counts what waits, what is in work, and what comes from the stage before', () => {
  const depth = {
    ...DEPTH,
    encode: { ...EMPTY, waiting: 3, active: 1 },
    generate: { ...EMPTY, waiting: 2, coming: 4 },
  };
  // Two masks a job, as far as they were counted.
  const work = (stage: string) => ({ ...NOTHING, done: stage === 'decode' ? 190 : 90 });
  const { encode, generate, decode } = stageLoads(depth, { arrivalsPerSecond: 0, work }, [], SEEDS);
  expect([encode.tasks, generate.tasks, decode.tasks]).toEqual([4, 6, 12]);
  expect([encode.backlogSeconds, generate.backlogSeconds, decode.backlogSeconds]).toEqual([0.4, 3, 1.5]);
});

it('goes by the measured rate of busy workers, and wants them 70 % busy', () => {
  const work = (stage: string) => (stage === 'generate' ? { done: 0, busyMs: 95_000, busyDone: 390 } : NOTHING);
  const { generate } = stageLoads(DEPTH, { arrivalsPerSecond: 14, work }, [], SEEDS);
  expect(generate.tasksPerSecond).toBe(4);
  expect(generate.demandWorkers).toBeCloseTo(5);
});

it('wants no more encoders because pictures are encoded while the language model has much to do', () => {
  const work = (stage: string) => (stage === 'encode' ? { ...NOTHING, done: 140 } : NOTHING);
  const { encode } = stageLoads(DEPTH, { arrivalsPerSecond: 7, work }, [], SEEDS);
  expect(encode.demandWorkers).toBeCloseTo(1);
});

it('is the same for all who ask: workers tell Redis what they did, gateways what came', async () => {
  const [one, two] = [fixture.open(), fixture.open()];
  fixture.startWorkers();
  await one.countArrivals(7);
  await two.countArrivals(5);
  await one.submit(newJob());
  const demand = async () => {
    const { decode, encode } = await two.loads(SEEDS);
    return { tasks: decode.tasks + encode.tasks, demand: encode.demandWorkers, visits: decode.demandWorkers };
  };
  await until(async () => (await demand()).tasks === 0);
  // 12 requests in 25 to 30 s; a second mask makes more of a job at the decoder.
  await until(async () => {
    const { demand: encode, visits } = await demand();
    return encode > 12 / 30 / 10 / 0.7 - 0.001 && visits / encode > 10 / 8;
  });
  expect(await one.loads(SEEDS)).toMatchObject({ encode: { tasks: 0, backlogSeconds: 0 } });
});

it.each(['NaN', '', '-1', 'x', '1e400'])('begins anew where Redis holds %j in the place of a figure', async (wrong) => {
  const jobs = fixture.open();
  const figures = [
    'encode',
    'generate',
    'decode',
    'reached',
    'after.',
    'encode.done',
    'generate.busyMs',
    'decode.busyDone',
  ];
  const spoilt = Object.fromEntries(figures.map((name) => [name, wrong]));
  for (const key of [KEYS.pace, KEYS.turns, KEYS.work, KEYS.arrivals]) await jobs.redis.hset(key, spoilt);
  const finite = (value: object) => Object.values(value).every((figure) => Number.isFinite(figure));

  const { paceMs } = await jobs.outlook('', 'normal');
  expect(paceMs).toSatisfy(finite);
  for (const load of Object.values(await jobs.loads(SEEDS))) expect(load).toSatisfy(finite);

  // One is open while another is created, answered, and counted: nothing of it fails, and figures are there again.
  await jobs.submit(newJob());
  const { jobId } = await jobs.submit(newJob());
  await jobs.countArrivals(1);
  fixture.startWorkers();
  expect((await lastEvent(jobs, jobId)).type).toBe('completed');
  await until(async () => Number(await jobs.redis.hget(KEYS.work, 'encode.done')) > 0);
  expect(Number(await jobs.redis.hget(KEYS.pace, 'encode'))).toBeGreaterThanOrEqual(0);
});
