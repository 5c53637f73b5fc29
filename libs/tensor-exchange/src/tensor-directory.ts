import { setTimeout as sleep } from 'node:timers/promises';

import type { Redis } from 'ioredis';

export interface TensorDirectoryOptions {
  /** How long an entry is kept that nobody renews. */
  readonly keepMs?: number;
  /** How often an owner says that it lives; after three times as long without a word it counts as dead. */
  readonly beatMs?: number;
}

const KEYS = {
  owners: (key: string) => `{segue}:tensors:${key}`,
  alive: (owner: string) => `{segue}:tensor-owner:${owner}`,
} as const;

/** Who holds which tensors, in Redis. A hint: whoever follows it may find the tensors gone, and then says so by `drop`. */
export class TensorDirectory {
  private readonly keepMs: number;
  private readonly beatMs: number;

  constructor(
    private readonly redis: Redis,
    options: TensorDirectoryOptions = {},
  ) {
    this.keepMs = options.keepMs ?? 3_600_000;
    this.beatMs = options.beatMs ?? 1_000;
  }

  /** Says that `owner` (`host:port`) holds the tensor set `key`. */
  async publish(key: string, owner: string): Promise<void> {
    await this.redis.multi().sadd(KEYS.owners(key), owner).pexpire(KEYS.owners(key), this.keepMs).exec();
  }

  /** An owner that lives, if there is one. */
  async find(key: string): Promise<string | undefined> {
    const owners = await this.redis.smembers(KEYS.owners(key));
    const alive = await Promise.all(owners.map((owner) => this.redis.exists(KEYS.alive(owner))));
    return owners.find((_, i) => alive[i] === 1);
  }

  async drop(key: string, owner: string): Promise<void> {
    await this.redis.srem(KEYS.owners(key), owner);
  }

  /** Makes `owner` visible, and keeps it so until `stop`. */
  async keepAlive(owner: string): Promise<{ stop(): Promise<void> }> {
    const beat = () => this.redis.set(KEYS.alive(owner), '', 'PX', 3 * this.beatMs);
    await beat();
    const stopping = new AbortController();
    const beating = (async () => {
      while (!stopping.signal.aborted) {
        await sleep(this.beatMs, undefined, { signal: stopping.signal }).catch(() => undefined);
        // Its errors are those of the connection, of which the connection's owner hears; the next beat tries again.
        if (!stopping.signal.aborted) await beat().catch(() => undefined);
      }
    })();
    return {
      stop: async () => {
        stopping.abort();
        await beating;
        await this.redis.del(KEYS.alive(owner));
      },
    };
  }
}
