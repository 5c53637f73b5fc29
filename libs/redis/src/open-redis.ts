import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { Redis, type RedisOptions } from 'ioredis';
import { isStoreAway, redisError } from './errors.js';
import type { Log } from './log.js';

/**
 * - `producer` answers requests: it fails at once while Redis is away, so that the caller hears UNAVAILABLE.
 * - `worker` has nobody waiting for it: its commands wait until Redis is back, and are given again while Redis is full or
 *   changes its master.
 */
export type RedisRole = 'producer' | 'worker';

export interface RedisConnectionOptions {
  /** `redis://host:port`, or `rediss://` with TLS; with Sentinels the name of the master in the place of the host. */
  readonly url: string;
  /**
   * `host:port` of Redis Sentinels; none without. What a master took last may be lost with it, since it copies to its replicas
   * afterwards: `min-replicas-to-write 1` bounds that to seconds.
   * @see https://redis.io/docs/latest/develop/reference/sentinel-clients/
   */
  readonly sentinels?: readonly string[];
  readonly sentinelPassword?: string | undefined;
  /** For `rediss:`; read once. */
  readonly tls?: RedisTlsFiles;
  /** `producer` for whoever answers requests, `worker` for whoever works on a queue. */
  readonly role: RedisRole;
  readonly log: Log;
}

/** Paths of PEM files. */
export interface RedisTlsFiles {
  /** The CA of Redis' certificate, where it is no public one. */
  readonly caFile?: string | undefined;
  /** Our own certificate, where Redis asks for it. */
  readonly certFile?: string | undefined;
  readonly keyFile?: string | undefined;
}

/** A connection that reconnects for ever, and what its users need to share. */
export interface RedisConnection {
  readonly client: Redis;
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
  /** A further connection to the same Redis, for who waits or listens there; a subscription ends with its connection. It is closed with this one. */
  duplicate(): Redis;
  /** Whether Redis answers; for readiness, never for liveness. */
  ping(): Promise<boolean>;
  /** Whatever waits for Redis fails now. */
  close(): void;
}

export type Ask = <T>(commands: () => Promise<T>) => Promise<T>;

/** How long a worker's commands are given again; by then the deadlines of most jobs are over. */
const PATIENCE_MS = 600_000;
const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 5_000;
const FAREWELL_MS = 1_000;

/** A producer's command that is not answered by then has failed. */
const COMMAND_TIMEOUT_MS = 2_000;
const LONGEST_RECONNECT_WAIT_MS = 1_000;

const SENTINEL_PORT = 26_379;

/** Queues ask again and again while Redis refuses what they say; of those errors one is told in this time. */
const TELL_EVERY_MS = 5_000;

const ROLE_OPTIONS = {
  producer: { enableOfflineQueue: false, maxRetriesPerRequest: 0, commandTimeout: COMMAND_TIMEOUT_MS },
  worker: { maxRetriesPerRequest: null },
} as const satisfies Record<RedisRole, RedisOptions>;

/** Whose commands all fail when it is disconnected; ioredis leaves those unanswered that wait for it to connect again. */
class Client extends Redis {
  override disconnect(reconnect = false): void {
    // What connects can be disconnected.
    if (!reconnect && this.status === 'reconnecting') this.connect().catch(() => undefined);
    super.disconnect(reconnect);
  }
}

/** Opens a connection. Returns at once: Redis may come later. */
export function openRedis(options: RedisConnectionOptions): RedisConnection {
  const { url, role, log } = options;
  const address = addressOptions(options);
  let [away, closed] = [false, false];
  const opened: Redis[] = [];
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
  const connect = (): Redis => {
    const redis = new Client(url, {
      ...ROLE_OPTIONS[role],
      ...address,
      connectTimeout: COMMAND_TIMEOUT_MS,
      keepAlive: 10_000,
      // ioredis leaves its own attempt uncaught, which would end the process: who listens subscribes again by itself.
      autoResubscribe: false,
      retryStrategy: (attempt) => Math.min(50 * 2 ** Math.min(attempt, 5), LONGEST_RECONNECT_WAIT_MS),
    });
    // BullMQ hangs several listeners of each queue on a connection that it shares.
    redis.setMaxListeners(50);
    redis.on('error', (error) => onError(error));
    opened.push(redis);
    return redis;
  };
  const client = connect();
  client.on('ready', () => {
    if (away) log.info({}, 'Redis is back');
    away = false;
  });
  const ask: Ask = async (commands) => {
    let pauseMs = FIRST_PAUSE_MS;
    for (const giveUpAt = performance.now() + PATIENCE_MS; ; pauseMs = Math.min(2 * pauseMs, LONGEST_PAUSE_MS)) {
      try {
        return await commands();
      } catch (cause) {
        const error = redisError(cause);
        if (role === 'producer' || closed || !isStoreAway(error) || performance.now() > giveUpAt) throw error;
        log.warn({ err: cause, pauseMs }, 'Redis does not take a command; trying again');
        await sleep(pauseMs);
      }
    }
  };
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
    duplicate: connect,
    async ping() {
      if (client.status !== 'ready') return false;
      return client.ping().then(
        () => true,
        () => false, // The question is answered: it does not.
      );
    },
    close() {
      closed = true;
      for (const redis of opened.splice(0)) redis.disconnect();
    },
  };
}

function addressOptions({ url, sentinels = [], sentinelPassword, tls = {} }: RedisConnectionOptions) {
  const security = url.startsWith('rediss:') ? { tls: readTls(tls) } : {};
  if (sentinels.length === 0) return security;
  return {
    ...security,
    ...(security.tls && { enableTLSForSentinelMode: true, sentinelTLS: security.tls }),
    ...(sentinelPassword !== undefined && { sentinelPassword }),
    name: new URL(url).hostname,
    sentinels: sentinels.map((sentinel) => {
      const { hostname, port } = new URL(`redis://${sentinel}`);
      return { host: hostname, port: Number(port || SENTINEL_PORT) };
    }),
    // A master that is cut off closes no connection, and one that has become a replica keeps them.
    failoverDetector: true,
    reconnectOnError: (error: Error) => error.message.startsWith('READONLY'),
  };
}

function readTls({ caFile, certFile, keyFile }: RedisTlsFiles): RedisOptions['tls'] & object {
  return {
    ...(caFile !== undefined && { ca: readFileSync(caFile) }),
    ...(certFile !== undefined && { cert: readFileSync(certFile) }),
    ...(keyFile !== undefined && { key: readFileSync(keyFile) }),
  };
}
