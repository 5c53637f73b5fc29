import { KEYS } from './keys.js';
import { defineScript, figureOf, NOW_LUA, redisNowMs, type Script } from './lua.js';
import type { RedisConnection } from './open-redis.js';

const DAY_MS = 86_400_000;
const KEEP_DAYS = 400;

/** What is counted of each tenant, by the day of Redis' clock (UTC). */
const FIGURES = ['completed', 'failed', 'cancelled', 'refused', 'tokens', 'masks'] as const;

/** Adds to a figure of a tenant; `keys` begins the keys of all days. Needs `now()`. */
export const USAGE_LUA = `
local function countUsage(keys, tenant, figure, more)
  more = tonumber(more)
  if not more or not (more >= 1 and more < 2^53) then return end
  local key = keys .. string.format('%d', math.floor(now() / ${DAY_MS}))
  redis.call('HINCRBY', key, tenant .. '/' .. figure, string.format('%.0f', more))
  redis.call('PEXPIRE', key, ${KEEP_DAYS * DAY_MS})
end
`;

const COUNT = `${NOW_LUA}${USAGE_LUA}
return countUsage(KEYS[1], ARGV[1], ARGV[2], ARGV[3])
`;

/** Of some days together. */
type Usage = Readonly<Record<(typeof FIGURES)[number], number>>;

/** Counts and tells what tenants have used. What jobs use is counted in the step that ends them. */
export class UsageScripts {
  readonly #redis: RedisConnection;
  readonly #count: Script;

  constructor(redis: RedisConnection) {
    this.#redis = redis;
    this.#count = defineScript(redis, 'segueCountUsage', COUNT);
  }

  async count(tenant: string, figure: keyof Usage, more: number): Promise<void> {
    await this.#count([KEYS.usage('')], [tenant, figure, more]);
  }

  /** The day by which is counted now, `YYYY-MM-DD`. */
  async today(): Promise<string> {
    return new Date(await redisNowMs(this.#redis)).toISOString().slice(0, 10);
  }

  /** @param days any time of the first and of the last, in milliseconds since the epoch. */
  async of(tenant: string, days: Days): Promise<Usage> {
    const { client, ask } = this.#redis;
    const fields = FIGURES.map((figure) => `${tenant}/${figure}`);
    const rows = await ask(() => Promise.all(keysOf(days).map((key) => client.hmget(key, ...fields))));
    return usageOf((_figure, index) => sum(rows.map((row) => row[index] ?? undefined)));
  }

  /** Of every tenant that has used something, by name. */
  async all(days: Days): Promise<ReadonlyMap<string, Usage>> {
    const { client, ask } = this.#redis;
    const hashes = await ask(() => Promise.all(keysOf(days).map((key) => client.hgetall(key))));
    const names = new Set(hashes.flatMap((hash) => Object.keys(hash).map((field) => field.split('/', 1)[0] ?? '')));
    const usage = (name: string) => usageOf((figure) => sum(hashes.map((hash) => hash[`${name}/${figure}`])));
    return new Map([...names].toSorted().map((name) => [name, usage(name)]));
  }
}

/** Milliseconds since the epoch. */
interface Days {
  readonly fromMs: number;
  readonly toMs: number;
}

/** Older days are not kept. */
function keysOf({ fromMs, toMs }: Days): string[] {
  const last = Math.floor(toMs / DAY_MS);
  const first = Math.max(Math.floor(fromMs / DAY_MS), last - KEEP_DAYS);
  return Array.from({ length: Math.max(0, last - first + 1) }, (_, day) => KEYS.usage(first + day));
}

function usageOf(figure: (name: keyof Usage, index: number) => number): Usage {
  return Object.fromEntries(FIGURES.map((name, index) => [name, figure(name, index)])) as Record<keyof Usage, number>;
}

function sum(figures: readonly (string | undefined)[]): number {
  return figures.reduce((total, text) => total + (figureOf(text) ?? 0), 0);
}
