import { RedisServer } from '@segue/local-system';
import { Redis, type Cluster } from 'ioredis';
import { inject } from 'vitest';

declare module 'vitest' {
  interface ProvidedContext {
    /** URL of the Redis Cluster on which a spec is run, which `vitest.cluster.ts` starts; undefined where it is run on a Redis. */
    redisCluster: string | undefined;
  }
}

/** A Redis for one spec file: a new one, or the cluster on which its project's specs are run one after the other. */
export async function startRedis(): Promise<{ readonly url: string; stop(): Promise<void> }> {
  const cluster = inject('redisCluster');
  return cluster === undefined ? RedisServer.start() : { url: cluster, stop: () => Promise.resolve() };
}

type Client = Redis | Cluster;

/** The node of a cluster that is master of the key, or the Redis. */
export async function masterOf(client: Client, key: string): Promise<Redis> {
  if (client instanceof Redis) return client;
  const slot = await client.cluster('KEYSLOT', key);
  const isMaster = ({ options: { host, port } }: Redis) => client.slots[slot]?.[0] === `${host}:${port}`;
  const master = client.nodes('master').find(isMaster);
  if (!master) throw new Error(`no node has the key ${key}`);
  return master;
}

/** What all nodes of a cluster answer, or its masters; or the Redis. */
export async function everywhere<T>(
  client: Client,
  ask: (redis: Redis) => Promise<T>,
  role: 'all' | 'master' = 'all',
): Promise<T[]> {
  if (client instanceof Redis) return [await ask(client)];
  await client.cluster('INFO'); // once it is connected
  return Promise.all(client.nodes(role).map(ask));
}
