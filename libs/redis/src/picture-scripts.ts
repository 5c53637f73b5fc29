import { KEYS } from './keys.js';
import { defineScript, NOW_LUA, type Script } from './lua.js';
import type { RedisConnection } from './open-redis.js';

/**
 * Counts the picture ARGV[1] of ARGV[2] bytes with those of its tenant (KEYS[1]: by the end of their lifetime, KEYS[2]: their
 * bytes), for ARGV[3] ms, unless they would be more than ARGV[4]. Returns -1, or after how many ms the first of them goes.
 */
const RESERVE = `${NOW_LUA}
local at = now()
for _, id in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], 0, at)) do
  redis.call('HINCRBY', KEYS[2], 'total', -(redis.call('HGET', KEYS[2], id) or 0))
  redis.call('HDEL', KEYS[2], id)
  redis.call('ZREM', KEYS[1], id)
end
if redis.call('HEXISTS', KEYS[2], ARGV[1]) == 0 then
  local total = tonumber(redis.call('HGET', KEYS[2], 'total')) or 0
  if total + ARGV[2] > tonumber(ARGV[4]) then
    local first = redis.call('ZRANGE', KEYS[1], 0, 0, 'WITHSCORES')
    return first[2] and math.max(0, first[2] - at) or 0
  end
  redis.call('HSET', KEYS[2], ARGV[1], ARGV[2])
  redis.call('HINCRBY', KEYS[2], 'total', ARGV[2])
end
redis.call('ZADD', KEYS[1], at + ARGV[3], ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
redis.call('PEXPIRE', KEYS[2], ARGV[3])
return -1
`;

/** Counts the picture ARGV[1] for ARGV[2] ms more, if it is counted; keys as above. */
const RENEW = `${NOW_LUA}
redis.call('ZADD', KEYS[1], 'XX', now() + ARGV[2], ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return redis.call('PEXPIRE', KEYS[2], ARGV[2])
`;

/** The bytes of a tenant's pictures that still live; keys as above. */
const STORED = `${NOW_LUA}
local total = tonumber(redis.call('HGET', KEYS[2], 'total')) or 0
for _, id in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], 0, now())) do
  total = total - (redis.call('HGET', KEYS[2], id) or 0)
end
return total
`;

/** Counts the picture ARGV[1] no more; keys as above. */
const RELEASE = `
if redis.call('ZREM', KEYS[1], ARGV[1]) == 0 then return 0 end
redis.call('HINCRBY', KEYS[2], 'total', -(redis.call('HGET', KEYS[2], ARGV[1]) or 0))
return redis.call('HDEL', KEYS[2], ARGV[1])
`;

/** Forgets the picture KEYS[1] if its bytes still lie under the stamp ARGV[1]. */
const FORGET = `
if redis.call('HGET', KEYS[1], 'blob') == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0
`;

/** One function for each script on pictures. */
export class PictureScripts {
  readonly #reserve: Script;
  readonly #renew: Script;
  readonly #stored: Script;
  readonly #release: Script;
  readonly #forget: Script;
  readonly #client: RedisConnection['client'];

  constructor(redis: RedisConnection) {
    this.#reserve = defineScript(redis, 'segueReservePicture', RESERVE);
    this.#renew = defineScript(redis, 'segueRenewPicture', RENEW);
    this.#stored = defineScript(redis, 'segueStoredPictures', STORED);
    this.#release = defineScript(redis, 'segueReleasePicture', RELEASE);
    this.#forget = defineScript(redis, 'segueForgetPicture', FORGET);
    this.#client = redis.client;
  }

  /** @returns where the picture is counted, or, where the tenant would have too many bytes, when some of them may go. */
  async reserve(
    tenant: string,
    imageId: string,
    { bytes, keepMs, maxBytes }: { readonly bytes: number; readonly keepMs: number; readonly maxBytes: number },
  ): Promise<{ readonly countedIn: string } | { readonly freeAfterMs: number }> {
    const countedIn = KEYS.tenantPictures(tenant);
    const reply = await this.#reserve([countedIn, `${countedIn}:bytes`], [imageId, bytes, keepMs, maxBytes]);
    return reply === -1 ? { countedIn } : { freeAfterMs: Number(reply) };
  }

  /** Bytes of the tenant's pictures that are counted. */
  async stored(tenant: string): Promise<number> {
    const key = KEYS.tenantPictures(tenant);
    return Number(await this.#stored([key, `${key}:bytes`], []));
  }

  /** @param countedIn what `reserve` gave. */
  async renew(countedIn: string, imageId: string, keepMs: number): Promise<void> {
    await this.#renew([countedIn, `${countedIn}:bytes`], [imageId, keepMs]);
  }

  /** @param countedIn what `reserve` gave. */
  async release(countedIn: string, imageId: string): Promise<void> {
    await this.#release([countedIn, `${countedIn}:bytes`], [imageId]);
  }

  /** @param stamp under which its bytes were looked for in vain. */
  async forget(imageId: string, stamp: string): Promise<void> {
    await this.#forget([KEYS.picture(imageId, this.#client)], [stamp]);
  }
}
