import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { findRedis, Program, RedisServer } from '@segue/local-system';
import freePort from 'get-port';
import { expect, test } from 'vitest';
import { askThrough, freeze, kill } from './failover.fixture.js';
import { fakeStages, lastEvent, newJob, until, useJobs, type OpenedJobs } from './jobs.fixture.js';

const fixture = useJobs();
const SENTINELS = 3;

/** A master with a replica, and three Sentinels of which two decide. */
async function watchedRedis() {
  const master = await RedisServer.start();
  const replica = await RedisServer.start({ replicaOf: master.port });
  const copy = fixture.open({ url: replica.url });
  const folder = await mkdtemp(join(tmpdir(), 'segue-sentinel-'));
  const sentinels: Program[] = [];
  const addresses: string[] = [];
  fixture.onEnd(async () => {
    for (const program of sentinels) await program.kill();
    await Promise.all([master.stop(), replica.stop(), rm(folder, { recursive: true, force: true })]);
  });
  await until(async () => (await copy.redis.info('replication')).includes('master_link_status:up'), 30_000);
  for (let i = 0; i < SENTINELS; i++) {
    const port = await freePort();
    const file = join(folder, `${i}.conf`);
    const lines = [
      `port ${port}`,
      'bind 127.0.0.1',
      `dir ${folder}`,
      `sentinel monitor segue 127.0.0.1 ${master.port} 2`,
      'sentinel down-after-milliseconds segue 1000',
      'sentinel failover-timeout segue 5000',
    ];
    await writeFile(file, lines.join('\n'));
    sentinels.push(new Program({ name: 'sentinel', command: [findRedis(), file, '--sentinel'], env: {} }));
    addresses.push(`127.0.0.1:${port}`);
  }
  // Sentinels that have not met, or do not know the replica yet, elect nobody.
  for (const address of addresses) {
    const { redis } = fixture.open({ url: `redis://${address}` });
    await until(async () => {
      const facts = (await redis.call('SENTINEL', 'MASTER', 'segue')) as string[];
      const fact = (name: string) => Number(facts[facts.indexOf(name) + 1]);
      return fact('num-slaves') === 1 && fact('num-other-sentinels') === SENTINELS - 1;
    }, 30_000);
  }
  return { master, replica, options: { url: 'redis://segue', sentinels: addresses } };
}

test('jobs go on with the replica when their master is lost', { timeout: 60_000 }, async () => {
  const { master, replica, options } = await watchedRedis();
  const worker = fixture.open(options);
  const jobs = fixture.open({ ...options, role: 'producer' });
  await until(() => jobs.ping());
  let held = true;
  const generate: typeof fakeStages.generate = async (context) => {
    while (held) await sleep(20);
    return fakeStages.generate(context);
  };
  const hosts = [
    worker.stageHost({ stage: 'encode', concurrency: 4, process: fakeStages.encode }),
    worker.stageHost({ stage: 'generate', concurrency: 4, process: generate }),
    worker.stageHost({ stage: 'decode', concurrency: 4, process: fakeStages.decode }),
    worker.answerStage({ concurrency: 4 }),
  ];
  for (const host of hosts) void host.start();
  const before = await Promise.all([1, 2, 3].map(() => jobs.submit(newJob())));
  // All that was accepted is copied by then.
  expect(await worker.redis.wait(1, 5_000)).toBe(1);

  await master.program.kill();
  held = false;
  await until(() => jobs.ping(), 30_000);
  const after = await jobs.submit(newJob());
  for (const { jobId } of [...before, after]) {
    expect((await lastEvent(jobs, jobId)).type).toBe('completed');
  }
  expect(await jobs.redis.info('replication')).toContain('role:master');
  expect(await jobs.redis.info('server')).toContain(`tcp_port:${replica.port}`);
  for (const host of hosts) await host.close({ graceMs: 0 });
});

test.for(['hangs', 'is killed'])(
  'jobs go on under load when the master %s',
  { timeout: 120_000 },
  async (fault, { annotate }) => {
    const { master, replica, options } = await watchedRedis();
    const happens = (jobs: OpenedJobs) => (fault === 'hangs' ? freeze(fixture, master, jobs) : kill(master, jobs));
    const { course, wrong } = await askThrough(fixture, options, happens);
    expect(wrong).toEqual([]);
    await annotate(course);
    const now = fixture.open({ ...options, role: 'producer' });
    await until(() => now.ping());
    expect(await now.redis.info('server')).toContain(`tcp_port:${replica.port}`);
  },
);

test('a connection goes on that is told of a new master while it asks for one', { timeout: 60_000 }, async () => {
  const { options } = await watchedRedis();
  const jobs = fixture.open(options);
  await until(() => jobs.ping());
  const blocking = (jobs.redis as unknown as { duplicate(): OpenedJobs['redis'] }).duplicate(); // as BullMQ makes one
  blocking.on('error', () => undefined); // told of below
  fixture.onEnd(() => Promise.resolve(blocking.disconnect()));
  await until(() => blocking.status === 'ready');
  for (const redis of [jobs.redis, blocking]) {
    const ended = new Promise((resolve) => redis.once('end', resolve));
    // What ioredis' failover detector does, which may outlive its connection.
    redis.once('connecting', () => (redis as unknown as { connector: { disconnect(): void } }).connector.disconnect());
    redis.disconnect(true);
    await ended;
    await until(() => redis.status === 'ready');
    expect(await redis.ping()).toBe('PONG');
  }
});
