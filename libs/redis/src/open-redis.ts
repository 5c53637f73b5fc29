import { setTimeout as sleep } from 'node:timers/promises';
import { insist, isStoreAway, type Log } from '@segue/core';
import { Redis } from 'ioredis';
import { connectorOf, type RedisAddressOptions, type RedisClient } from './connect.js';
import { redisError } from './errors.js';
import { KEYS } from './keys.js';

export interface RedisConnectionOptions extends RedisAddressOptions {
  readonly log: Log;
}

/** A connection that reconnects for ever, and what its users need to share. */
export interface RedisConnection {
  readonly client: RedisClient;
  readonly log: Log;
  /**
   * Runs Redis commands and nothing else; those of a worker may run several times.
   * @throws SegueError UNAVAILABLE with reason STORE_AWAY when Redis is away, full or changing its master.
   */
  readonly ask: Ask;
  /** Hears of errors of whatever uses the connection. A Redis that is away is told of once, not at every attempt. */
  readonly onError: (error: Error) => void;
  /**
   * Tells others of our going, for a second at most: what is said also runs out by itself, and a Redis that is away must not
   * keep a process that wants to end.
   */
  farewell(commands: () => Promise<unknown>): Promise<void>;
  /** A further connection to the same Redis, for who waits there. It is closed with this one. */
  duplicate(): RedisClient;
  /** The same for who listens there; a subscription ends with its connection. */
  listener(): Redis;
  /** Whether Redis answers; for readiness, never for liveness. */
  ping(): Promise<boolean>;
  /** Whatever waits for Redis fails now. */
  close(): void;
}

export type Ask = <T>(commands: () => Promise<T>) => Promise<T>;

/** How long a worker's commands are given again; by then the deadlines of most jobs are over. */
const PATIENCE_MS = 600_000;
const FAREWELL_MS = 1_000;

/** Queues ask again and again while Redis refuses what they say; of those errors one is told in this time. */
const TELL_EVERY_MS = 5_000;

/** Opens a connection. Returns at once: Redis may come later. @throws SegueError INVALID_ARGUMENT for an address that is none. */
export function openRedis(options: RedisConnectionOptions): RedisConnection {
  const { role, log } = options;
  const connector = connectorOf(options);
  let away = false;
  const closing = new AbortController();
  const opened: RedisClient[] = [];
  let toldAt = -Infinity;
  const onError = (error: Error): void => {
    if (client.status === 'ready' && isStoreAway(redisError(error))) {
      if (performance.now() - toldAt < TELL_EVERY_MS) return;
      toldAt = performance.now();
    }
    if (client.status === 'ready') log.warn({ err: error }, 'redis connection');
    else if (!away) log.warn({ err: error }, 'Redis is away; trying again until it is back');
    away ||= client.status !== 'ready';
  };
  const follow = <C extends RedisClient>(redis: C): C => {
    // BullMQ hangs several listeners of each queue on a connection that it shares.
    redis.setMaxListeners(50);
    redis.on('error', onError);
    opened.push(redis);
    return redis;
  };
  const client = follow(connector.connect());
  client.on('node error', onError); // one node of a cluster
  client.on('ready', () => {
    if (away) log.info({}, 'Redis is back');
    away = false;
  });
  if (client instanceof Redis) client.once('ready', () => void tellOfCluster(client, log));
  const ask: Ask = (commands) =>
    insist(
      async () => {
        try {
          // Of what ioredis is given then, it leaves some unanswered.
          closing.signal.throwIfAborted();
          return await commands();
        } catch (cause) {
          throw redisError(cause);
        }
      },
      {
        patienceMs: role === 'producer' ? 0 : PATIENCE_MS,
        signal: closing.signal,
        onAway: ({ cause }, pauseMs) =>
          log.warn({ err: cause, pauseMs }, 'Redis does not take a command; trying again'),
      },
    );
  return {
    client,
    log,
    ask,
    onError,
    async farewell(commands) {
      const late = new AbortController();
      const told = commands().catch((error: unknown) => log.info({ err: error }, 'nobody could be told of our going'));
      await Promise.race([told, sleep(FAREWELL_MS, undefined, late).catch(() => undefined)]);
      late.abort();
    },
    duplicate: () => follow(connector.connect()),
    listener: () => follow(connector.listen(client)),
    async ping() {
      if (client.status !== 'ready') return false;
      // Asked for a key, for in a cluster not every node counts.
      return client.exists(KEYS.turns).then(
        () => true,
        () => false, // The question is answered: it does not.
      );
    },
    close() {
      closing.abort(redisError(new Error('Connection is closed.')));
      for (const redis of opened.splice(0)) redis.disconnect();
    },
  };
}

/** Behind the address of one node nobody follows the others. */
async function tellOfCluster(redis: Redis, log: Log): Promise<void> {
  const info = await redis.info('cluster').catch(() => ''); // not ours to know
  if (!info.includes('cluster_enabled:1')) return;
  log.error(
    {},
    'this Redis is one node of a Redis Cluster: begin SEGUE_REDIS_URL with redis+cluster:// and name several',
  );
}
