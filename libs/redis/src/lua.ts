import { KEYS } from './keys.js';
import type { RedisConnection } from './open-redis.js';

export type Argument = string | number;

/** Makes `now()` known to a script: milliseconds since the epoch by Redis' clock, which is the only one that counts. */
export const NOW_LUA = `
local function now()
  local t = redis.call('TIME')
  return t[1] * 1000 + math.floor(t[2] / 1000)
end
`;

/*
 * TIME and INFO have no key, so that any node of a cluster would answer them. In a script they are asked of the node that has the
 * script's key.
 */

/** The same for what is no script: milliseconds since the epoch. @throws SegueError UNAVAILABLE when Redis is away. */
export async function redisNowMs({ client, ask }: Pick<RedisConnection, 'client' | 'ask'>): Promise<number> {
  return Number(await ask(() => client.eval(`${NOW_LUA}return now()`, 1, KEYS.turns)));
}

/**
 * Memory of the Redis that holds the key, in bytes; the limit is Infinity where it has none.
 * @throws SegueError UNAVAILABLE when Redis is away.
 */
export async function redisMemory(
  { client, ask }: Pick<RedisConnection, 'client' | 'ask'>,
  key: string = KEYS.turns,
): Promise<{ readonly usedBytes: number; readonly limitBytes: number }> {
  const info = String(await ask(() => client.eval(`return redis.call('INFO', 'memory')`, 1, key)));
  const amount = (name: string) => Number(new RegExp(`^${name}:(\\d+)`, 'm').exec(info)?.[1] ?? 0);
  return { usedBytes: amount('used_memory'), limitBytes: amount('maxmemory') || Infinity };
}

/** Share of Redis' memory up to which pictures and files are taken. Redis evicts nothing, and without room for its writes no job can go on or end. */
const MOST_MEMORY = 0.7;

/** Bytes that pictures and files may still take of the Redis that holds the key. @throws SegueError UNAVAILABLE when Redis is away. */
export async function redisRoom(redis: Pick<RedisConnection, 'client' | 'ask'>, key: string): Promise<number> {
  const { usedBytes, limitBytes } = await redisMemory(redis, key);
  return MOST_MEMORY * limitBytes - usedBytes;
}

/** Runs a script on its keys and arguments. */
export type Script = (keys: readonly string[], args: readonly Argument[]) => Promise<unknown>;

/**
 * Makes a connection know a script.
 * @returns calls it. @throws SegueError UNAVAILABLE when Redis is away or full.
 */
export function defineScript(
  { client, ask }: Pick<RedisConnection, 'client' | 'ask'>,
  name: string,
  lua: string,
): Script {
  client.defineCommand(name, { lua });
  const command = (client as unknown as Record<string, (...values: readonly Argument[]) => Promise<unknown>>)[name];
  if (!command) throw new Error(`the connection did not take the script ${name}`);
  return (keys, args) => ask(() => command.call(client, keys.length, ...keys, ...args));
}

/** The hash that Redis returns as a flat list. */
export function fromPairs(flat: readonly string[]): Record<string, string> {
  const hash: Record<string, string> = {};
  for (let i = 0; i + 1 < flat.length; i += 2) hash[flat[i] ?? ''] = flat[i + 1] ?? '';
  return hash;
}

/** A figure that Redis holds; nothing where it is none, which must not spoil what is computed from it. */
export function figureOf(text: string | undefined): number | undefined {
  const figure = Number(text);
  return text !== undefined && text !== '' && figure >= 0 && figure < Infinity ? figure : undefined;
}
