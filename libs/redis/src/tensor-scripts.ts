import { KEYS } from './keys.js';
import { defineScript, type Script } from './lua.js';
import type { RedisConnection } from './open-redis.js';

/** A live owner of the set KEYS[1]; ARGV[1]: key prefix of live owners. Finding one renews the set's lifetime (ARGV[2] ms). */
const FIND_OWNER = `
for _, owner in ipairs(redis.call('SMEMBERS', KEYS[1])) do
  if redis.call('EXISTS', ARGV[1] .. owner) == 1 then
    redis.call('PEXPIRE', KEYS[1], ARGV[2])
    return owner
  end
end
return false
`;

const PUBLISH = `
redis.call('SADD', KEYS[1], ARGV[1])
return redis.call('PEXPIRE', KEYS[1], ARGV[2])
`;

/** Tells one of those who fetch ahead; news that nobody takes is soon forgotten. */
const ANNOUNCE = `
redis.call('LPUSH', KEYS[1], ARGV[1])
redis.call('LTRIM', KEYS[1], 0, 99)
return redis.call('PEXPIRE', KEYS[1], 5000)
`;

/** One function for each script on the tensor directory. */
export class TensorScripts {
  readonly #findOwner: Script;
  readonly #publish: Script;
  readonly #announce: Script;

  constructor(redis: RedisConnection) {
    this.#findOwner = defineScript(redis, 'segueFindTensorOwner', FIND_OWNER);
    this.#publish = defineScript(redis, 'seguePublishTensors', PUBLISH);
    this.#announce = defineScript(redis, 'segueAnnounceTensors', ANNOUNCE);
  }

  async findOwner(key: string, keepMs: number): Promise<string | undefined> {
    const owner = await this.#findOwner([KEYS.tensors(key)], [KEYS.tensorOwner(''), keepMs]);
    return (owner as string | null) ?? undefined;
  }

  async publish(key: string, owner: string, keepMs: number): Promise<void> {
    await this.#publish([KEYS.tensors(key)], [owner, keepMs]);
  }

  /** @param news what is told of a set. */
  async announce(news: string): Promise<void> {
    await this.#announce([KEYS.newTensors], [news]);
  }
}
