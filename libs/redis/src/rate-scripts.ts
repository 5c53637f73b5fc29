import { KEYS } from './keys.js';
import { defineScript, NOW_LUA, type Script } from './lua.js';
import type { RedisConnection } from './open-redis.js';

/**
 * Takes one token of the bucket KEYS[1], which holds ARGV[1] at most and gains ARGV[2] a minute. Returns 0, or after how
 * many ms there will be one.
 */
const TAKE = `${NOW_LUA}
local at = now()
local most, perMs = tonumber(ARGV[1]), ARGV[2] / 60000
local bucket = redis.call('HMGET', KEYS[1], 'tokens', 'atMs')
local tokens = most
if bucket[1] then tokens = math.min(most, bucket[1] + math.max(0, at - bucket[2]) * perMs) end
if tokens < 1 then return math.ceil((1 - tokens) / perMs) end
redis.call('HSET', KEYS[1], 'tokens', tostring(tokens - 1), 'atMs', at)
redis.call('PEXPIRE', KEYS[1], math.ceil(most / perMs))
return 0
`;

/** Rates of tenants, the same at all gateways. */
export class RateScripts {
  readonly #take: Script;

  constructor(redis: RedisConnection) {
    this.#take = defineScript(redis, 'segueTakeToken', TAKE);
  }

  /** @returns 0, or in how many milliseconds the tenant may ask again. */
  async take(tenant: string, burst: number, perMinute: number): Promise<number> {
    return Number(await this.#take([KEYS.rate(tenant)], [burst, perMinute]));
  }
}
