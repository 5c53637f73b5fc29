import { SegueError } from '@segue/core';
import { RedisServer } from '@segue/local-system';
import { TestAuthority } from '@segue/testing';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { redisError } from './errors.js';
import type { RedisRole, RedisTlsFiles } from './connect.js';
import { openRedis, type RedisConnection } from './open-redis.js';

let server: RedisServer;
const opened: RedisConnection[] = [];
const warned: unknown[] = [];
const log = { info: () => undefined, warn: (fields: unknown) => void warned.push(fields), error: () => undefined };

function open(role: RedisRole): RedisConnection {
  const connection = openRedis({ url: server.url, role, log });
  opened.push(connection);
  return connection;
}

beforeAll(async () => {
  server = await RedisServer.start();
});
afterEach(async () => {
  await open('worker').client.config('SET', 'maxmemory', '0', 'min-replicas-to-write', '0');
  for (const connection of opened.splice(0)) connection.close();
  warned.length = 0;
});
afterAll(() => server.stop());

it('tells once in a while of what a queue asks for again and again', async () => {
  const { client, onError } = open('worker');
  await expect.poll(() => client.status).toBe('ready');
  for (let times = 0; times < 100; times++) onError(new Error('OOM command not allowed'));
  expect(warned).toHaveLength(1);
  onError(new Error('a defect'));
  onError(new Error('a defect'));
  expect(warned).toHaveLength(3);
});

/** Ways to make a real Redis refuse writes for a while, and how to end them. */
const FAULTS = [
  ['full', ['maxmemory', '1'], ['maxmemory', '0']],
  ['short of replicas', ['min-replicas-to-write', '1'], ['min-replicas-to-write', '0']],
] as const;

describe.each(FAULTS)('a Redis that is %s', (_name, fault, end) => {
  it('is told of to a producer at once', async () => {
    const { client, ask } = open('producer');
    await expect.poll(() => client.status).toBe('ready');
    await client.config('SET', ...fault);
    await expect(ask(() => client.set('k', 'v'))).rejects.toMatchObject({
      code: 'UNAVAILABLE',
      reason: 'STORE_AWAY',
      retryAfterMs: 2_000,
    });
    expect(await ask(() => client.get('other'))).toBeNull(); // reading goes on
  });

  it('is waited for by a worker', async () => {
    const { client, ask } = open('worker');
    await client.config('SET', ...fault);
    const written = ask(() => client.set('k', 'v'));
    await expect.poll(() => warned.length).toBeGreaterThanOrEqual(2);
    await client.config('SET', ...end);
    expect(await written).toBe('OK');
  });
});

describe('a connection that is closed', () => {
  it('leaves nothing waiting for a Redis that is away', async () => {
    const connection = openRedis({ url: 'redis://127.0.0.1:1', role: 'worker', log });
    const subscriber = connection.duplicate();
    const waiting = [connection.ask(() => connection.client.get('k')), subscriber.brpop('k', 0)];
    await expect.poll(() => connection.client.status).toBe('reconnecting');
    connection.close();
    for (const outcome of await Promise.allSettled(waiting)) expect(outcome.status).toBe('rejected');
  });

  it('tells others of its going, but not for ever', async () => {
    const here = open('worker');
    await here.farewell(() => here.client.set('gone', 'yes'));
    expect(await here.client.get('gone')).toBe('yes');
    const away = openRedis({ url: 'redis://127.0.0.1:1', role: 'worker', log });
    await away.farewell(() => away.client.set('gone', 'no'));
    away.close();
  });
});

describe('redisError', () => {
  it.each([
    'OOM command not allowed when used memory > maxmemory.',
    'READONLY You can only write against a read only replica.',
    'LOADING Redis is loading the dataset in memory',
    'MISCONF Redis is configured to save RDB snapshots',
    'CLUSTERDOWN The cluster is down',
    'TRYAGAIN Multiple keys request during rehashing of slot',
    'Too many Cluster redirections. Last error: ReplyError: MOVED 919 10.0.0.1:6379',
    'NOSCRIPT No matching script. Please use EVAL.',
    'ERR Script attempted to access a non local key in a cluster node script: 1',
    "Cluster isn't ready and enableOfflineQueue options is false",
    'Failed to refresh slots cache.',
    'ERR Error running script: -OOM command not allowed',
    'EXECABORT Transaction discarded because of previous errors.',
    'Connection is closed.',
    'Command timed out',
    "Stream isn't writeable and enableOfflineQueue options is false",
  ])('calls "%s" passing', (message) => {
    expect(redisError(new Error(message))).toMatchObject({ code: 'UNAVAILABLE' });
  });

  it.each([
    'WRONGTYPE Operation against a key',
    "CROSSSLOT Keys in request don't hash to the same slot",
    'ERR unknown command',
    'The size of job j exceeds the limit 4096 bytes',
  ])('leaves "%s" as the defect that it is', (message) => {
    const error = new Error(message);
    expect(redisError(error)).toBe(error);
  });

  it('leaves what has been told already', () => {
    const told = new SegueError('NOT_FOUND', 'gone');
    expect(redisError(told)).toBe(told);
  });
});

it('speaks TLS both ways, and to nobody else', async () => {
  const [ours, others] = [await TestAuthority.create(), await TestAuthority.create()];
  const own = await ours.issue({ names: ['DNS:client'] });
  const server = await RedisServer.start({ tls: { ...(await ours.issue()), caFile: ours.caFile } });
  const attempt = async (tls: RedisTlsFiles) => {
    const connection = openRedis({ url: server.url, role: 'producer', log, tls });
    await expect.poll(() => ['ready', 'reconnecting', 'close'].includes(connection.client.status)).toBe(true);
    const answers = await connection.ping();
    connection.close();
    return answers;
  };
  try {
    expect(await attempt({ ...own, caFile: ours.caFile })).toBe(true);
    expect(await attempt({ caFile: ours.caFile })).toBe(false);
    expect(await attempt({ ...(await others.issue()), caFile: ours.caFile })).toBe(false);
    expect(await attempt({ ...own, caFile: others.caFile })).toBe(false);
    expect(await attempt(own)).toBe(false);
  } finally {
    await server.stop();
    await Promise.all([ours.remove(), others.remove()]);
  }
});
