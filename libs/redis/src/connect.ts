import { readFileSync } from 'node:fs';
import { SegueError } from '@segue/core';
import { Cluster, Redis, type RedisOptions } from 'ioredis';
import { clusterOf, type ClusterAddress } from './redis-url.js';

/**
 * - `producer` answers requests: it fails at once while Redis is away, so that the caller hears UNAVAILABLE.
 * - `worker` has nobody waiting for it: its commands wait until Redis is back, and are given again while Redis is full or
 *   changes its master.
 */
export type RedisRole = 'producer' | 'worker';

export interface RedisAddressOptions {
  /**
   * `redis://host:port`, or `rediss://` with TLS; with Sentinels the name of the master in the place of the host. Of a Redis
   * Cluster some of its nodes: `redis+cluster://host:port,host:port`, or `rediss+cluster://`.
   */
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
}

/** Paths of PEM files. */
export interface RedisTlsFiles {
  /** The CA of Redis' certificate, where it is no public one. */
  readonly caFile?: string | undefined;
  /** Our own certificate, where Redis asks for it. */
  readonly certFile?: string | undefined;
  readonly keyFile?: string | undefined;
}

/** Replies stay as they are. */
type Options = Omit<RedisOptions, 'replyMapping'>;

/** One Redis, or a Redis Cluster, where each command goes to the node that has its key. */
export type RedisClient = Redis | Cluster;

/** Makes connections to one Redis. */
export interface Connector {
  connect(): RedisClient;
  /** For who listens. A message that is published at any node of a cluster is heard at each: @param beside knows the nodes. */
  listen(beside: RedisClient): Redis;
}

/** A producer's command that is not answered by then has failed. */
const COMMAND_TIMEOUT_MS = 2_000;
const LONGEST_RECONNECT_WAIT_MS = 1_000;
const SENTINEL_PORT = 26_379;

const ROLE_OPTIONS = {
  producer: { enableOfflineQueue: false, maxRetriesPerRequest: 0, commandTimeout: COMMAND_TIMEOUT_MS },
  worker: { enableOfflineQueue: true, maxRetriesPerRequest: null },
} as const satisfies Record<RedisRole, Options>;

/** How often a command to a cluster is given again, 100 ms later, where its key is being moved or its node is lost. */
const MOST_REDIRECTIONS = { producer: 4, worker: 600 } as const satisfies Record<RedisRole, number>;
/** How often a cluster is asked who has which keys: a node that hangs or is cut off closes no connection. */
const LOOK_AROUND_EVERY_MS = 2_000;
/** How long such a node is given to hang up, while its commands wait to be given to another. */
const HANG_UP_MS = 200;

/** @throws SegueError INVALID_ARGUMENT for an address that is none. */
export function connectorOf(options: RedisAddressOptions): Connector {
  const { url, role, sentinels = [], tls = {} } = options;
  const common: Options = {
    ...ROLE_OPTIONS[role],
    ...(/^rediss[:+]/.test(url) && { tls: readTls(tls) }),
    connectTimeout: COMMAND_TIMEOUT_MS,
    keepAlive: 10_000,
    // ioredis leaves its own attempt uncaught, which would end the process: who listens subscribes again by itself.
    autoResubscribe: false,
    retryStrategy: reconnectWaitMs,
  };
  const cluster = clusterOf(url);
  if (!cluster) {
    const connect = () => new SingleClient(url, { ...common, ...sentinelOptions(options, common.tls) });
    return { connect, listen: connect };
  }
  if (sentinels.length > 0) {
    throw new SegueError('INVALID_ARGUMENT', 'A Redis Cluster has no Sentinels: leave out SEGUE_REDIS_SENTINELS.');
  }
  const { username, password } = cluster;
  const login = { ...(username && { username }), ...(password && { password }) };
  const nodeOptions = { ...common, ...login, disconnectTimeout: HANG_UP_MS };
  return {
    connect: () => new ClusterClient(cluster, nodeOptions, role),
    listen: (beside) => listenAtANode(cluster, nodeOptions, beside as Cluster),
  };
}

/**
 * Ends only when it is disconnected, and then all its commands fail; ioredis leaves those unanswered that wait for it to connect again. It
 * also ends for good when its Sentinels tell of a new master while it asks them for one.
 */
class SingleClient extends Redis {
  #isDone = false;

  override async connect(): Promise<void> {
    try {
      await super.connect();
    } catch (error) {
      if (this.status === 'end' && !this.#isDone) setTimeout(() => this.#connectAgain(), LONGEST_RECONNECT_WAIT_MS);
      throw error;
    }
  }

  #connectAgain(): void {
    // What fails is told as an event.
    if (!this.#isDone) this.connect().catch(() => undefined);
  }

  /** BullMQ makes its own connections so. */
  override duplicate(...[override]: Parameters<Redis['duplicate']>): ReturnType<Redis['duplicate']> {
    return new SingleClient({ ...this.options, ...override } as Options) as ReturnType<Redis['duplicate']>;
  }

  override disconnect(reconnect = false): void {
    this.#isDone ||= !reconnect;
    // What connects can be disconnected.
    if (!reconnect && this.status === 'reconnecting') this.connect().catch(() => undefined);
    super.disconnect(reconnect);
  }
}

/** The same for a cluster. */
class ClusterClient extends Cluster {
  constructor({ nodes }: ClusterAddress, redisOptions: Options, role: RedisRole) {
    super([...nodes], {
      redisOptions,
      enableOfflineQueue: ROLE_OPTIONS[role].enableOfflineQueue,
      maxRedirections: MOST_REDIRECTIONS[role],
      // It waits for ever where it asks a node that hangs. A cluster that is down says so to every command.
      enableReadyCheck: false,
      slotsRefreshInterval: LOOK_AROUND_EVERY_MS,
      slotsRefreshTimeout: COMMAND_TIMEOUT_MS,
      clusterRetryStrategy: reconnectWaitMs,
      // Certificates are of names, so names are kept until a connection is made.
      dnsLookup: (name, done) => done(null, name),
    });
  }

  override disconnect(reconnect = false): void {
    // Its end is told by its last node. Without any it ends like one that was never connected, and pipelines wait to hear of it.
    const alone = !reconnect && this.status !== 'end' && this.nodes().length === 0;
    if (alone) this.status = 'wait';
    super.disconnect(reconnect);
    if (alone) this['invokeReadyDelayedCallbacks'](new Error('Connection is closed.'));
  }
}

/** Listens at one node after the other, each for as long as the cluster has it. */
function listenAtANode({ nodes }: ClusterAddress, options: Options, cluster: Cluster): Redis {
  const known = () => cluster.nodes().map(({ options: { host = '', port = 0 } }) => ({ host, port }));
  const anyNode = () => {
    const all = known().length > 0 ? known() : nodes;
    return all[Math.floor(Math.random() * all.length)] ?? {};
  };
  const redis = new SingleClient({
    ...options,
    ...anyNode(),
    retryStrategy(attempt) {
      Object.assign(redis.options, anyNode());
      return reconnectWaitMs(attempt);
    },
  });
  // One that hangs closes no connection.
  cluster.on('-node', () => {
    const { host, port } = redis.options;
    const isKnown = known().some((node) => node.host === host && node.port === port);
    if (!isKnown && redis.status === 'ready') redis.disconnect(true);
  });
  return redis;
}

function reconnectWaitMs(attempt: number): number {
  return Math.min(50 * 2 ** Math.min(attempt, 5), LONGEST_RECONNECT_WAIT_MS);
}

function sentinelOptions(
  { url, sentinels = [], sentinelPassword }: RedisAddressOptions,
  tls: RedisOptions['tls'],
): Options {
  if (sentinels.length === 0) return {};
  return {
    ...(tls && { enableTLSForSentinelMode: true, sentinelTLS: tls }),
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
