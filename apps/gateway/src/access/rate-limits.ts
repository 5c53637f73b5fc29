import { SegueError, type Tenant } from '@segue/core';
import { RateScripts, type RedisConnection } from '@segue/redis';

/** Without a burst of its own a tenant may send a tenth of a minute's requests at once. */
const BURST_SHARE = 10;

/** How often tenants may ask; the same buckets at all gateways. */
export class RateLimits {
  readonly #scripts: RateScripts;

  constructor(redis: RedisConnection) {
    this.#scripts = new RateScripts(redis);
  }

  /** Counts one request. @throws SegueError RESOURCE_EXHAUSTED that says when the next one may come. */
  async take({ name, limits }: Tenant): Promise<void> {
    const { requestsPerMinute, burst } = limits;
    if (requestsPerMinute === undefined) return;
    const most = burst ?? Math.max(1, Math.floor(requestsPerMinute / BURST_SHARE));
    const retryAfterMs = await this.#scripts.take(name, most, requestsPerMinute);
    if (retryAfterMs === 0) return;
    throw new SegueError(
      'RESOURCE_EXHAUSTED',
      `You may send ${requestsPerMinute} requests a minute, ${most} of them at once. Send the next one a little later.`,
      { retryAfterMs },
    );
  }
}
