import { RedisCluster, type RedisServer } from '@segue/local-system';
import { everywhere, masterOf, TestAuthority } from '@segue/testing';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { RedisRole } from './connect.js';
import { KEYS, PREFIX } from './keys.js';
import { redisMemory, redisNowMs } from './lua.js';
import { openRedis, type RedisConnection, type RedisConnectionOptions } from './open-redis.js';

let cluster: RedisCluster;
const opened: RedisConnection[] = [];
const told: string[] = [];
const tell = (_fields: unknown, message: string) => void told.push(message);
const log = { info: tell, warn: tell, error: tell };

function open(role: RedisRole, options: Partial<RedisConnectionOptions> = {}): RedisConnection {
  const connection = openRedis({ url: cluster.url, role, log, ...options });
  opened.push(connection);
  return connection;
}

/** Keys of each master at least. */
const PICTURES = Array.from({ length: 60 }, (_, i) => i.toString(16).padStart(64, '0'));

beforeAll(async () => {
  cluster = await RedisCluster.start({ nodeTimeoutMs: 1_000 });
});
afterEach(() => {
  for (const connection of opened.splice(0)) connection.close();
  told.length = 0;
});
afterAll(() => cluster.stop());

it('keeps everything at one master but pictures, which are at all', async () => {
  const { client } = open('worker');
  const own = [
    KEYS.turns,
    KEYS.record('a'),
    KEYS.signal('b'),
    KEYS.tenantPictures('acme'),
    `${PREFIX}:segue.encode:wait`,
  ];
  const masters = (keys: readonly string[]) => Promise.all(keys.map((key) => masterOf(client, key)));
  expect(new Set(await masters(own)).size).toBe(1);
  expect(new Set(await masters(PICTURES.map((id) => KEYS.picture(id, client)))).size).toBe(3);
});

it('asks the master of a key for the time and its memory', async () => {
  const connection = open('worker');
  const { client } = connection;
  const home = await masterOf(client, KEYS.turns);
  const [there, elsewhere] = await Promise.all(
    [true, false].map(async (same) => {
      for (const id of PICTURES) {
        const key = KEYS.picture(id, client);
        if (((await masterOf(client, key)) === home) === same) return key;
      }
      throw new Error('all keys are at one master');
    }),
  );
  await home.config('SET', 'maxmemory', '1gb');
  for (let times = 0; times < 10; times++) {
    expect((await redisMemory(connection)).limitBytes).toBe(2 ** 30);
    expect((await redisMemory(connection, there)).limitBytes).toBe(2 ** 30);
    expect((await redisMemory(connection, elsewhere)).limitBytes).toBe(Infinity);
  }
  await home.config('SET', 'maxmemory', '0');
  expect((await redisMemory(connection)).usedBytes).toBeGreaterThan(1_000_000);
  expect(Math.abs((await redisNowMs(connection)) - Date.now())).toBeLessThan(1_000);
});

it('logs in at every node', async () => {
  const { client } = open('worker');
  await everywhere(client, (redis) => redis.acl('SETUSER', 'segue', 'on', '>p@ss,word', '~*', '&*', '+@all'));
  const connection = open('worker', { url: cluster.url.replace('//', '//segue:p%40ss%2Cword@') });
  expect(new Set(await everywhere(connection.client, (redis) => redis.acl('WHOAMI')))).toEqual(new Set(['segue']));
  expect(await connection.listener().acl('WHOAMI')).toBe('segue');
  expect(await connection.duplicate().set(`${PREFIX}:x`, 'x')).toBe('OK');
});

it('refuses Sentinels, and tells a single Redis that is a node of a cluster', async () => {
  expect(() => open('worker', { sentinels: ['10.0.0.1'] })).toThrow('leave out SEGUE_REDIS_SENTINELS');
  open('worker', { url: cluster.nodes[0]?.url ?? '' });
  await expect.poll(() => told).toContainEqual(expect.stringContaining('redis+cluster://'));
});

it('speaks TLS to every node, each as it is named', async () => {
  const [ours, others] = [await TestAuthority.create(), await TestAuthority.create()];
  const tls = { ...(await ours.issue()), caFile: ours.caFile };
  const secured = await RedisCluster.start({ tls });
  try {
    const { client, listener } = open('worker', { url: secured.url, tls });
    const answers = await everywhere(client, (redis) => redis.ping());
    expect(answers).toEqual(Array(6).fill('PONG'));
    expect(await listener().ping()).toBe('PONG');
    const stranger = open('producer', { url: secured.url, tls: { ...tls, caFile: others.caFile } });
    await expect.poll(() => told).toContain('Redis is away; trying again until it is back');
    expect(await stranger.ping()).toBe(false);
  } finally {
    await secured.stop();
    await Promise.all([ours.remove(), others.remove()]);
  }
});

describe('a cluster that is away', () => {
  it('leaves nothing waiting for a connection that is closed', async () => {
    const connection = open('worker', { url: 'redis+cluster://127.0.0.1:1,127.0.0.1:2' });
    const { client, ask } = connection;
    const waiting = [
      ask(() => client.get('k')),
      ask(() => client.pipeline().get('k').exec()),
      connection.duplicate().brpop('k', 0),
      connection.listener().subscribe('k'),
    ];
    await expect.poll(() => client.status).toBe('reconnecting');
    expect(told).toContain('Redis is away; trying again until it is back');
    connection.close();
    for (const outcome of await Promise.allSettled(waiting)) expect(outcome.status).toBe('rejected');
  });

  it('is told of to a producer at once', async () => {
    const { client, ask, ping } = open('producer', { url: 'redis+cluster://127.0.0.1:1' });
    await expect.poll(() => client.status).toBe('reconnecting');
    const start = Date.now();
    await expect(ask(() => client.get('k'))).rejects.toMatchObject({ code: 'UNAVAILABLE', reason: 'STORE_AWAY' });
    expect(await ping()).toBe(false);
    expect(Date.now() - start).toBeLessThan(500);
  });
});

describe('a node that is lost', () => {
  it('by being frozen: who connects just then reaches the others', { timeout: 60_000 }, async () => {
    const { client } = open('worker');
    const home = await masterOf(client, PREFIX);
    const lost = cluster.nodes.find(({ port }) => port === home.options.port)!;
    lost.program.pause();
    try {
      const answers = Array.from({ length: 10 }, () => open('worker').client.set(PREFIX, 'reached'));
      expect(await Promise.all(answers)).toEqual(answers.map(() => 'OK'));
    } finally {
      lost.program.resume();
    }
  });

  const ways: readonly [string, lose: (node: RedisServer) => unknown, after: (node: RedisServer) => unknown][] = [
    ['frozen', ({ program }) => program.pause(), ({ program }) => program.resume()],
    ['killed', ({ program }) => program.kill(), () => undefined],
  ];

  it.each(ways)(
    'by being %s: who listens there hears what is published elsewhere at the next',
    { timeout: 60_000 },
    async (_, lose, after) => {
      const { client, listener } = open('worker');
      const subscriber = listener();
      const heard: string[] = [];
      subscriber.on('message', (_channel, message) => heard.push(message));
      subscriber.on('ready', () => void subscriber.subscribe('c'));
      await subscriber.subscribe('c');
      const { port } = subscriber.options;
      const node = cluster.nodes.find((each) => each.port === port)!;
      await lose(node);
      const publish = () => client.publish('c', 'again').catch(() => undefined);
      await expect.poll(() => publish().then(() => heard), { timeout: 30_000 }).toContain('again');
      expect(subscriber.options.port).not.toBe(port);
      after(node);
    },
  );
});
