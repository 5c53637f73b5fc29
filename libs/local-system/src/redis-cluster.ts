import { setTimeout as sleep } from 'node:timers/promises';
import { execa } from 'execa';
import freePort from 'get-port';
import type { Redis } from 'ioredis';
import { findProgram } from './find-program.js';
import { connectTo, RedisServer, type RedisServerOptions } from './redis-server.js';

const CLIENTS = ['redis-cli', 'valkey-cli'];
const MASTERS = 3;
const NODE_TIMEOUT_MS = 15_000;
const START_TIMEOUT_MS = 30_000;
const LOOK_EVERY_MS = 50;
const KEYS_AT_ONCE = 10;

export interface RedisClusterOptions extends Pick<RedisServerOptions, 'tls'> {
  /** After how long without a word a node is given up; as long as Redis by itself waits unless given. */
  readonly nodeTimeoutMs?: number;
}

/** A real Redis Cluster on free ports of this machine's loopback: three masters with a replica each. */
export class RedisCluster {
  readonly nodes: readonly RedisServer[];

  private constructor(nodes: readonly RedisServer[]) {
    this.nodes = nodes;
  }

  /** @throws Error that says what to install when this machine has no Redis, or nothing to make a cluster with. */
  static async start({ tls, nodeTimeoutMs = NODE_TIMEOUT_MS }: RedisClusterOptions = {}): Promise<RedisCluster> {
    const client = findProgram(CLIENTS);
    if (client === undefined) {
      throw new Error(
        `A Redis Cluster needs one of ${CLIENTS.join(', ')}. Install one (Debian: sudo apt-get install redis-tools).`,
      );
    }
    const ports = await Promise.all(Array.from({ length: 4 * MASTERS }, () => freePort()));
    const nodePorts = ports.slice(2 * MASTERS).map((port, node) => ({ port, clusterPort: ports[node] ?? 0 }));
    const started = await Promise.allSettled(
      nodePorts.map((ports) => RedisServer.start({ ...ports, ...(tls && { tls }) })),
    );
    const security = tls ? ['--tls', '--cacert', tls.caFile, '--cert', tls.certFile, '--key', tls.keyFile] : [];
    const cluster = new RedisCluster(started.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : [])));
    try {
      for (const one of started) if (one.status === 'rejected') throw one.reason;
      const addresses = nodePorts.map(({ port, clusterPort }) => `127.0.0.1:${port}@${clusterPort}`);
      const replicas = ['--cluster-replicas', '1', '--cluster-yes'];
      await execa(client, ['--cluster', 'create', ...addresses, ...replicas, ...security]);
      await cluster.#isWhole();
      for (const node of cluster.nodes) {
        await ask(node, (redis) => redis.config('SET', 'cluster-node-timeout', nodeTimeoutMs));
      }
    } catch (error) {
      await cluster.stop();
      throw error;
    }
    return cluster;
  }

  /** `redis+cluster://127.0.0.1:port,127.0.0.1:port` with all of its nodes, or `rediss+cluster://` with TLS. */
  get url(): string {
    const urls = this.nodes.map(({ url }) => new URL(url));
    return `${urls[0]?.protocol.replace(':', '')}+cluster://${urls.map(({ host }) => host).join(',')}`;
  }

  /** The node that is master of the key's slot. */
  async masterOf(key: string): Promise<RedisServer> {
    return (await this.#ownersOf(key)).master.node;
  }

  /** Moves the key's slot to another master, key by key. */
  async moveSlotOf(key: string): Promise<void> {
    const { slot, master, other } = await this.#ownersOf(key);
    await ask(other.node, (redis) => redis.cluster('SETSLOT', slot, 'IMPORTING', master.id));
    await ask(master.node, async (redis) => {
      await redis.cluster('SETSLOT', slot, 'MIGRATING', other.id);
      for (;;) {
        const keys = await redis.cluster('GETKEYSINSLOT', slot, KEYS_AT_ONCE);
        if (keys.length === 0) return;
        await redis.migrate('127.0.0.1', other.node.port, '', 0, START_TIMEOUT_MS, 'KEYS', ...keys);
      }
    });
    for (const { node } of [other, master]) {
      await ask(node, (redis) => redis.cluster('SETSLOT', slot, 'NODE', other.id));
    }
  }

  /** Ends all nodes and removes their folders. */
  async stop(): Promise<void> {
    await Promise.all(this.nodes.map((node) => node.stop()));
  }

  /** The key's slot, its master, and one of the other masters. */
  async #ownersOf(key: string) {
    const asked = this.nodes.find((node) => node.program.ended === undefined);
    if (!asked) throw new Error('no node of the cluster runs');
    return ask(asked, async (redis) => {
      const slot = await redis.cluster('KEYSLOT', key);
      const ranges = await rangesOf(redis);
      const ownerOf = (own: boolean) => {
        const range = ranges.find(({ from, to }) => (from <= slot && slot <= to) === own);
        const node = this.nodes.find(({ port }) => port === range?.port);
        if (!range || !node) throw new Error(`no node of the cluster has the key ${key}`);
        return { node, id: range.id };
      };
      return { slot, master: ownerOf(true), other: ownerOf(false) };
    });
  }

  /** Waits until every node knows all others, and every replica has copied its master. */
  async #isWhole(): Promise<void> {
    const deadline = Date.now() + START_TIMEOUT_MS;
    for (const node of this.nodes) {
      while (!(await ask(node, isWhole))) {
        if (Date.now() > deadline) throw new Error(`the Redis Cluster was not whole in time:\n${node.program.output}`);
        await sleep(LOOK_EVERY_MS);
      }
    }
  }
}

async function isWhole(redis: Redis): Promise<boolean> {
  const state = String(await redis.cluster('INFO'));
  const ranges = await rangesOf(redis);
  const copies = await redis.info('replication');
  return (
    state.includes('cluster_state:ok') &&
    ranges.length === MASTERS &&
    ranges.every(({ replicas }) => replicas.length === 1) &&
    /role:master\b|master_link_status:up/.test(copies)
  );
}

/** Ranges of slots, by who serves them. */
async function rangesOf(redis: Redis) {
  const ranges = await redis.cluster('SLOTS');
  return ranges.map(([from, to, ...nodes]) => {
    const [[, port, id] = ['', 0, ''], ...replicas] = nodes;
    return { from, to, port, id, replicas };
  });
}

async function ask<T>(node: RedisServer, question: (redis: Redis) => Promise<T>): Promise<T> {
  const redis = await connectTo(node);
  try {
    return await question(redis);
  } finally {
    redis.disconnect();
  }
}
