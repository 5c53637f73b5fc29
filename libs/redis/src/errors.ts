import { LOST_CODES, SegueError, storeAway } from '@segue/core';

/**
 * Redis' own error words that pass with time (redis.io, "Redis serialization protocol", simple errors); any other reply
 * of that kind is a defect of ours.
 */
const PASSING = new Set([
  'ASK',
  'BUSY',
  'CLUSTERDOWN',
  'LOADING',
  'MASTERDOWN',
  'MISCONF',
  'MOVED',
  'NOREPLICAS',
  'NOSCRIPT', // a node took over for which ioredis counts the script as known
  'OOM',
  'READONLY',
  'TRYAGAIN',
  'UNBLOCKED',
]);

/** In BullMQ's and Lua's messages the word of Redis stands somewhere in the text. What no node has is on its way to another. */
const PASSING_INSIDE = new RegExp(
  `(?:^|[\\s:-])(?:${[...PASSING].join('|')}|EXECABORT)\\b|attempted to access a non local key in a cluster node`,
);

/** What ioredis says of connections that are lost, or of a Redis that does not answer in time. */
const LOST = new RegExp(
  `^(?:${[
    'Connection is closed',
    "Stream isn't writeable",
    'Command timed out',
    'Command aborted',
    'Reached the max retries',
    "Cluster isn't ready",
    'Cluster is ended',
    'Failed to refresh slots cache',
    'None of startup nodes is available',
    'Too many Cluster redirections',
  ].join('|')})`,
);

/** What an error of a Redis command means: UNAVAILABLE for one that passes, itself for a defect. */
export function redisError(error: unknown): unknown {
  if (!(error instanceof Error) || error instanceof SegueError || !passes(error)) return error;
  return storeAway(error);
}

function passes(error: Error): boolean {
  const { code } = error as NodeJS.ErrnoException;
  if (LOST.test(error.message) || (code !== undefined && LOST_CODES.has(code))) return true;
  return PASSING_INSIDE.test(error.message);
}
