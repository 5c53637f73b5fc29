import { SegueError } from '@segue/core';
import { Redis, type RedisOptions } from 'ioredis';

/**
 * - `producer` answers requests: it fails at once while Redis is away, so that the caller hears UNAVAILABLE.
 * - `worker` has nobody waiting for it: its commands wait until Redis is back.
 */
export type RedisRole = 'producer' | 'worker';

/** A producer's command that is not answered by then has failed. */
const COMMAND_TIMEOUT_MS = 2_000;
const LONGEST_RECONNECT_WAIT_MS = 1_000;

const ROLE_OPTIONS = {
  producer: { enableOfflineQueue: false, maxRetriesPerRequest: 0, commandTimeout: COMMAND_TIMEOUT_MS },
  worker: { maxRetriesPerRequest: null },
} as const satisfies Record<RedisRole, RedisOptions>;

/**
 * Opens a connection that reconnects for ever. The caller closes it.
 * @param onError hears of every lost connection and failed attempt; ioredis goes on by itself.
 */
export function connectRedis(url: string, role: RedisRole, onError: (error: Error) => void): Redis {
  const redis = new Redis(url, {
    ...ROLE_OPTIONS[role],
    connectTimeout: COMMAND_TIMEOUT_MS,
    keepAlive: 10_000,
    retryStrategy: (attempt) => Math.min(50 * 2 ** Math.min(attempt, 5), LONGEST_RECONNECT_WAIT_MS),
  });
  redis.on('error', onError);
  // BullMQ hangs several listeners of each queue on a connection that it shares.
  redis.setMaxListeners(50);
  return redis;
}

/** Redis' own error codes that pass with time; any other reply of that kind is a defect of ours. */
const PASSING = new Set(['LOADING', 'READONLY', 'MASTERDOWN', 'CLUSTERDOWN', 'TRYAGAIN', 'NOREPLICAS', 'OOM']);

/** Runs Redis commands and nothing else, and reports a Redis that is away or full as UNAVAILABLE. */
export async function askRedis<T>(commands: () => Promise<T>): Promise<T> {
  try {
    return await commands();
  } catch (error) {
    if (error instanceof SegueError) throw error;
    if (error instanceof Error && error.name === 'ReplyError' && !PASSING.has(error.message.split(' ', 1)[0] ?? ''))
      throw error;
    throw unavailable(error);
  }
}

function unavailable(cause: unknown): SegueError {
  return new SegueError('UNAVAILABLE', 'The service cannot take requests at the moment. Try again in a few seconds.', {
    retryAfterMs: 2_000,
    cause,
  });
}
