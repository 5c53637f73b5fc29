import { Jobs } from '@segue/jobs';
import { RedisServer } from '@segue/local-system';
import { openRedis, type RedisConnection } from '@segue/redis';
import { SAMPLE_REQUEST } from '@segue/testing';
import { afterAll, afterEach, beforeAll, expect, it, vi } from 'vitest';

const log = { info: () => undefined, warn: () => undefined, error: () => undefined };

let redis: RedisServer;
let connection: RedisConnection;
let jobs: Jobs;
beforeAll(async () => {
  redis = await RedisServer.start();
  connection = openRedis({ url: redis.url, role: 'worker', log });
  jobs = new Jobs(connection, { jobKeepMs: 60_000 });
});
afterEach(() => connection.client.flushall());
afterAll(async () => {
  await jobs.close();
  connection.close();
  await redis.stop();
});

/** Runs the command as a program does, in this process. */
async function deadLetters(...words: string[]): Promise<{ status: unknown; said: string[]; complained: string[] }> {
  const { argv, exitCode } = process;
  const { log: say, error: complain } = console;
  const [said, complained]: [string[], string[]] = [[], []];
  console.log = (line: string) => said.push(line);
  console.error = (line: string) => complained.push(line);
  process.argv = [argv[0]!, 'dead-letters', '--redis', redis.url, ...words];
  try {
    vi.resetModules(); // it runs once for each import
    await import('./dead-letters.js');
    return { status: process.exitCode, said, complained };
  } finally {
    Object.assign(console, { log: say, error: complain });
    process.argv = argv;
    process.exitCode = exitCode;
  }
}

/** A job whose task ended two workers, as its letter tells. */
async function putAway(): Promise<string> {
  const { jobId } = await jobs.submit({ request: SAMPLE_REQUEST, timeoutMs: 60_000 });
  const [reason, diedIn] = ['the process ended in each of its runs', ['pod-a/7', 'pod-b/7', 'pod-a/8']];
  const letter = { jobId, queue: 'encode', taskId: jobId, reason, deaths: 3, diedIn, worker: 'pod-c/7', atMs: 0 };
  await jobs.deadLetters.add(letter);
  return jobId;
}

it('lists what was put away, and shows all that is kept of one', async () => {
  const [first, second] = [await putAway(), await putAway()];
  const line = (jobId: string) =>
    ['1970-01-01T00:00:00.000Z', jobId, 'encode', 3, 'pod-a/7,pod-b/7,pod-a/8'].join('\t') +
    '\tthe process ended in each of its runs';
  expect(await deadLetters('list')).toMatchObject({ status: 0, said: [line(second), line(first)] });
  const { said } = await deadLetters('show', first);
  expect(JSON.parse(said.join(''))).toMatchObject({
    letters: [{ jobId: first, deaths: 3 }],
    record: { jobId: first, request: { instruction: SAMPLE_REQUEST.instruction } },
  });
});

it('makes a new job of one and strikes it off', async () => {
  const jobId = await putAway();
  const { status, said } = await deadLetters('replay', jobId);
  expect(status).toBe(0);
  expect(said).not.toEqual([jobId]);
  expect((await jobs.get(said[0]!)).request).toEqual((await jobs.get(jobId)).request);
  expect((await deadLetters('list')).said).toEqual([]);
});

it('drops one and no other', async () => {
  const [first, second] = [await putAway(), await putAway()];
  expect((await deadLetters('drop', first)).said).toEqual(['1 dropped']);
  expect((await jobs.deadLetters.list()).map(({ jobId }) => jobId)).toEqual([second]);
});

it.each(['show', 'replay', 'drop'])('says what to do where there is nothing to %s', async (what) => {
  const { status, complained } = await deadLetters(what, 'a'.repeat(32));
  expect(status).toBe(1);
  expect(complained.join()).toContain('There is no dead letter of this job. Look at the list');
});
