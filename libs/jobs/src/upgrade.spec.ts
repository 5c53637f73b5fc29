import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { RedisServer } from '@segue/local-system';
import { KEYS, PREFIX, SCHEMA, type RedisConnection } from '@segue/redis';
import { expect, test } from 'vitest';
import manifest from '../package.json' with { type: 'json' };
import { QUEUES } from './queues.js';
import { eventsOf, fakeStages, forever, lastEvent, newJob, request, until, useJobs } from './jobs.fixture.js';

/*
 * What a version of this library leaves in Redis in the midst of its work is kept in `fixtures/`, and every later version must go on
 * from it: commit the file of a new version, which is written where there is none, and leave those of the old ones as they are.
 */
const FOLDER = fileURLToPath(new URL('../fixtures/', import.meta.url));
const FILE = `${FOLDER}redis-${manifest.version}.json`;

type Redis = RedisConnection['client'];
type Value = string | readonly string[] | readonly (readonly [id: string, fields: readonly string[]])[];
interface Left {
  /** Ids by what was being done with the job. */
  readonly jobs: Readonly<Record<string, string>>;
  /** Type and content by key. */
  readonly keys: Readonly<Record<string, readonly [type: string, value: Value]>>;
}

const fixture = useJobs();
/** Ends nothing by its deadline, whenever the file is read. */
const job = (instruction: string) => newJob({ timeoutMs: 3e12, request: request({ instruction }) });
const TEXT = 'The cup <SEG> and the spoon <SEG>.';

const addFile = () =>
  test('leaves what a later version must go on from', async () => {
    const jobs = fixture.open({ jobKeepMs: 3e12 });
    const submit = async (what: string) => (await jobs.submit(job(what))).jobId;
    const encoder = fixture.startStage({ stage: 'encode', concurrency: 1, process: fakeStages.encode });
    fixture.startStage({
      stage: 'generate',
      concurrency: 1,
      async process(context) {
        if (context.request.instruction !== 'generating') return fakeStages.generate(context);
        return fakeStages.generate({
          ...context,
          addDecode: (prompt) => context.addDecode(prompt).then(() => forever(context.signal)),
        });
      },
    });
    fixture.startStage({
      stage: 'decode',
      concurrency: 3,
      process: (context) =>
        context.request.instruction === 'completed' ||
        (context.prompt.index === 0 && context.request.instruction === 'decoding')
          ? fakeStages.decode(context)
          : forever(context.signal),
    });
    fixture.startAnswers();
    const completed = await submit('completed');
    await lastEvent(jobs, completed);
    const decoding = await submit('decoding');
    await until(async () => (await jobs.store.hasSegment(decoding, 0)) && (await jobs.depth()).decode.active === 1);
    const generating = await submit('generating');
    await until(async () => (await jobs.depth()).decode.active === 2);
    const encoded = await submit('encoded');
    await until(async () => (await jobs.depth()).generate.waiting === 1);
    await encoder.close({ graceMs: 0 });
    const queued = await submit('queued');
    const { jobId: unsent } = await jobs.store.create(job('unsent'));
    const left: Left = {
      jobs: { completed, decoding, generating, encoded, queued, unsent },
      keys: await dump(jobs.redis),
    };
    writeFileSync(FILE, `${JSON.stringify(left, null, 1)}\n`);
  });

if (!existsSync(FILE)) addFile();

test.each(readdirSync(FOLDER))('goes on from what %s holds', { timeout: 60_000 }, async (file) => {
  const { jobs: ids, keys } = JSON.parse(readFileSync(FOLDER + file, 'utf8')) as Left;
  const redis = await RedisServer.start();
  fixture.onEnd(() => redis.stop());
  const { url } = redis;
  const jobs = fixture.open({ url });
  for (const [key, [type, value]] of Object.entries(keys)) await restore(jobs.redis, key, type, value);

  let encodes = 0;
  const encode: typeof fakeStages.encode = (context) => {
    encodes++;
    return fakeStages.encode(context);
  };
  const worker = fixture.open({ url });
  const hosts = [
    worker.stageHost({ stage: 'encode', concurrency: 4, process: encode }),
    worker.stageHost({ stage: 'generate', concurrency: 4, process: fakeStages.generate }),
    worker.stageHost({ stage: 'decode', concurrency: 4, process: fakeStages.decode }),
    worker.answerStage({ concurrency: 4 }),
  ];
  for (const host of hosts) {
    void host.start();
    fixture.onEnd(() => host.close({ graceMs: 0 }));
  }
  const sweeper = jobs.startSweeper({ everyMs: 50, forgottenAfterMs: 100 });
  fixture.onEnd(() => sweeper.stop());

  for (const [what, jobId] of Object.entries(ids)) {
    const events = await eventsOf(jobs, jobId);
    expect(events.at(-1), what).toMatchObject({ type: 'completed', answer: { text: TEXT } });
    const ofType = (type: string) => events.filter((event) => event.type === type);
    expect([what, ofType('segment').length, ofType('restarted').length]).toEqual([what, 2, 0]);
  }
  expect(encodes).toBe(2); // of what was queued and unsent alone
  await until(async () => (await jobs.redis.zcard(KEYS.deadlines)) === 0);
  const { jobs: listed } = await jobs.list({ tenant: 'public', limit: 100 });
  const { unsent, ...submitted } = ids;
  expect(new Set(listed.map(({ jobId }) => jobId))).toEqual(new Set(Object.values(submitted)));
  expect((await jobs.get(unsent ?? '')).state).toBe('completed');
});

test('leaves what a later version wrote to workers of that version, and harms none of it', async () => {
  const jobs = fixture.open();
  const [record, task] = [await jobs.submit(newJob()), await jobs.submit(newJob())];
  const unsent = await jobs.store.create(newJob());
  const taskKey = `${PREFIX}:${QUEUES.encode}:${task.jobId}`;
  const data = (await jobs.redis.hget(taskKey, 'data')) ?? '';
  for (const { jobId } of [record, unsent]) await jobs.redis.hset(KEYS.record(jobId), 'schema', SCHEMA + 1);
  await jobs.redis.hset(taskKey, 'data', JSON.stringify({ schema: SCHEMA + 1, what: 'nobody knows yet' }));
  fixture.startWorkers();
  const sweeper = jobs.startSweeper({ everyMs: 50, forgottenAfterMs: 0 });
  fixture.onEnd(() => sweeper.stop());

  const known = await jobs.submit(newJob());
  expect((await lastEvent(jobs, known.jobId)).type).toBe('completed');
  const states = async () =>
    Promise.all([record, task, unsent].map(async ({ jobId }) => (await jobs.get(jobId)).state));
  expect(await states()).toEqual(['queued', 'queued', 'queued']);
  expect(await jobs.deadLetters.list()).toEqual([]);
  expect(await jobs.redis.zrange(KEYS.unsent, '0', '-1')).toEqual([unsent.jobId]);

  // As workers of that version go on.
  for (const { jobId } of [record, unsent]) await jobs.redis.hset(KEYS.record(jobId), 'schema', SCHEMA);
  await jobs.redis.hset(taskKey, 'data', data);
  for (const { jobId } of [record, task, unsent]) expect((await lastEvent(jobs, jobId)).type).toBe('completed');
});

/** Everything but what runs out by itself in seconds, and BullMQ's events, of which nobody reads. */
async function dump(redis: Redis): Promise<Left['keys']> {
  const all = (await redis.keys('*')).filter(
    (key) => !/:(lock|stalled-check|workers:.*|pace|work)$|segue\.\w+:events$/.test(key),
  );
  const read: Record<string, (key: string) => Promise<Value>> = {
    string: async (key) => (await redis.get(key)) ?? '',
    hash: async (key) => Object.entries(await redis.hgetall(key)).flat(),
    list: (key) => redis.lrange(key, 0, -1),
    set: (key) => redis.smembers(key),
    zset: (key) => redis.zrange(key, 0, '-1', 'WITHSCORES'),
    stream: (key) => redis.xrange(key, '-', '+'),
  };
  const entries = all.toSorted().map(async (key) => {
    const type = await redis.type(key);
    return [key, [type, (await read[type]?.(key)) ?? '']] as const;
  });
  return Object.fromEntries(await Promise.all(entries));
}

async function restore(redis: Redis, key: string, type: string, value: Value): Promise<void> {
  const flat = value as readonly string[];
  if (type === 'string') await redis.set(key, value as string);
  else if (type === 'hash') await redis.hset(key, ...flat);
  else if (type === 'list') await redis.rpush(key, ...flat);
  else if (type === 'set') await redis.sadd(key, ...flat);
  else if (type === 'zset')
    for (let i = 0; i < flat.length; i += 2) await redis.zadd(key, flat[i + 1] ?? '', flat[i] ?? '');
  else
    for (const [id, fields] of value as readonly (readonly [string, readonly string[]])[])
      await redis.xadd(key, id, ...fields);
}
