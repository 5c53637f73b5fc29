// From its sources, which Vitest reads here by their path alone.
import { RedisCluster } from './libs/local-system/src/redis-cluster.js';
import type { TestProject } from 'vitest/node';

/** Starts the Redis Cluster on which the specs of a project are run. */
export default async function startCluster(project: TestProject): Promise<() => Promise<void>> {
  const cluster = await RedisCluster.start();
  project.provide('redisCluster', cluster.url);
  return () => cluster.stop();
}
