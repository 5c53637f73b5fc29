import { defineScript, KEYS, NOW_LUA, type RedisConnection } from '@segue/redis';

/** A webhook that is to be called now. */
export interface DueWebhook {
  readonly jobId: string;
  readonly url: string;
  /** When it was asked for, in milliseconds since the epoch by Redis' clock, and now. */
  readonly sinceMs: number;
  readonly nowMs: number;
}

/** Notes a webhook (ARGV: job, url, how long until it is looked at, lifetime), once. */
const ADD = `${NOW_LUA}
if redis.call('HSETNX', KEYS[2], 'url', ARGV[2]) == 0 then return 0 end
redis.call('HSET', KEYS[2], 'since', now(), 'failures', 0)
redis.call('PEXPIRE', KEYS[2], ARGV[4])
return redis.call('ZADD', KEYS[1], now() + ARGV[3], ARGV[1])
`;

/** Those that are due, each given to one caller for ARGV[1] ms; ARGV[2] at most. */
const CLAIM = `${NOW_LUA}
local at = now()
local due = redis.call('ZRANGEBYSCORE', KEYS[1], 0, at, 'LIMIT', 0, ARGV[2])
for _, job in ipairs(due) do redis.call('ZADD', KEYS[1], at + ARGV[1], job) end
return {at, due}
`;

/** Comes back in ARGV[2] ms, if it is still waiting. */
const LATER = `${NOW_LUA}
if not redis.call('ZSCORE', KEYS[1], ARGV[1]) then return 0 end
return redis.call('ZADD', KEYS[1], now() + ARGV[2], ARGV[1])
`;

/** Webhooks that wait for the end of their job or for their next try. Redis' clock alone counts. */
export class WebhookQueue {
  readonly #redis: RedisConnection;
  readonly #scripts;

  constructor(redis: RedisConnection) {
    this.#redis = redis;
    this.#scripts = {
      add: defineScript(redis, 'segueAddWebhook', ADD),
      claim: defineScript(redis, 'segueClaimWebhooks', CLAIM),
      later: defineScript(redis, 'segueDelayWebhook', LATER),
    };
  }

  /**
   * Notes where to call when a job has ended; the first call for a job counts.
   * @param lookAfterMs when to look at the job even if nobody has said that it has ended.
   */
  async add(jobId: string, url: string, lookAfterMs: number, keepMs: number): Promise<void> {
    await this.#scripts.add([KEYS.webhooks, KEYS.webhook(jobId)], [jobId, url, lookAfterMs, keepMs]);
  }

  /** The job has ended: its webhook, if it has one, is due. */
  async hasten(jobId: string): Promise<void> {
    await this.delay(jobId, 0);
  }

  async delay(jobId: string, ms: number): Promise<void> {
    await this.#scripts.later([KEYS.webhooks], [jobId, ms]);
  }

  /** @returns how often it has failed. */
  async countFailure(jobId: string): Promise<number> {
    return this.#redis.ask(() => this.#redis.client.hincrby(KEYS.webhook(jobId), 'failures', 1));
  }

  /** Those that are due; whoever gets them has `leaseMs` before another one does. */
  async claim(atMost: number, leaseMs: number): Promise<DueWebhook[]> {
    const [nowMs, jobIds] = (await this.#scripts.claim([KEYS.webhooks], [leaseMs, atMost])) as [number, string[]];
    const found = await Promise.all(
      jobIds.map(async (jobId) => {
        const { client } = this.#redis;
        const [url, since] = await this.#redis.ask(() => client.hmget(KEYS.webhook(jobId), 'url', 'since'));
        if (typeof url === 'string') return { jobId, url, sinceMs: Number(since), nowMs };
        await this.remove(jobId); // its time is over
        return undefined;
      }),
    );
    return found.filter((webhook) => webhook !== undefined);
  }

  async remove(jobId: string): Promise<void> {
    const { client } = this.#redis;
    await this.#redis.ask(() => Promise.all([client.zrem(KEYS.webhooks, jobId), client.del(KEYS.webhook(jobId))]));
  }
}
