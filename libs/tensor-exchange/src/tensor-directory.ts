import { setTimeout as sleep } from 'node:timers/promises';
import { startPeriodic, type Periodic } from '@segue/core';
import { KEYS, TensorScripts, type RedisConnection } from '@segue/redis';
import type { TensorSetRef } from '@segue/stages';
import { inSpan, traceHeaders, type TraceHeaders } from '@segue/tracing';

export interface TensorDirectoryOptions {
  /** How long an entry is kept after its last use. */
  readonly keepMs?: number;
  /** How often an owner says that it lives; after three times as long without a word it counts as dead. */
  readonly beatMs?: number;
}

/** What is told of a set of tensors that others will soon need. */
interface News extends Omit<TensorSetRef, 'cached'> {
  readonly trace: TraceHeaders;
}

/** Who holds which tensors, in Redis. A hint: whoever follows it may find the tensors gone, and then says so by `drop`. */
export class TensorDirectory {
  readonly #redis: RedisConnection;
  readonly #scripts: TensorScripts;
  readonly #keepMs: number;
  readonly #beatMs: number;

  constructor(redis: RedisConnection, { keepMs = 3_600_000, beatMs = 1_000 }: TensorDirectoryOptions = {}) {
    this.#redis = redis;
    this.#scripts = new TensorScripts(redis);
    this.#keepMs = keepMs;
    this.#beatMs = beatMs;
  }

  /** Says that `owner` (`host:port`) holds the tensor set `key`. */
  publish(key: string, owner: string): Promise<void> {
    return this.#scripts.publish(key, owner, this.#keepMs);
  }

  /** Tells one of those who {@link watch} that a set will soon be needed. A failure is logged: it will be pulled then. */
  async announce({ key, owner }: TensorSetRef): Promise<void> {
    const news: News = { key, owner, trace: traceHeaders() };
    try {
      await this.#scripts.announce(JSON.stringify(news));
    } catch (error) {
      this.#redis.log.info({ err: error }, 'nobody could be told of new tensors');
    }
  }

  /** An owner that lives, if there is one. The entry lives on with every use. */
  find(key: string): Promise<string | undefined> {
    return this.#scripts.findOwner(key, this.#keepMs);
  }

  /**
   * Hears of sets as they are announced, each told to one listener of all processes, until it is stopped. What the listener
   * throws is logged: who needs the tensors pulls them anyway.
   */
  watch(listener: (ref: TensorSetRef) => Promise<void>): { stop(): Promise<void> } {
    const { log } = this.#redis;
    // A connection of its own: one that waits can do nothing else.
    const redis = this.#redis.duplicate();
    let stopped = false;
    const watching = (async () => {
      while (!stopped) {
        try {
          const [, news] = (await redis.brpop(KEYS.newTensors, 0)) ?? [];
          if (news === undefined) continue;
          const { trace, ...ref } = JSON.parse(news) as News;
          await inSpan('fetch ahead', { from: trace }, () => listener({ ...ref, cached: false }));
        } catch (error) {
          if (stopped) return;
          log.info({ err: error }, 'tensors could not be fetched ahead');
          await sleep(this.#beatMs);
        }
      }
    })();
    return {
      async stop() {
        stopped = true;
        redis.disconnect();
        await watching;
      },
    };
  }

  async drop(key: string, owner: string): Promise<void> {
    await this.#redis.ask(() => this.#redis.client.srem(KEYS.tensors(key), owner));
  }

  /** Makes `owner` visible, and keeps it so until it is stopped; then what it `held` is taken out. */
  async keepAlive(owner: string, held: () => readonly string[] = () => []): Promise<Periodic> {
    const { client, ask, farewell, log } = this.#redis;
    const beat = async (): Promise<void> => {
      await client.set(KEYS.tensorOwner(owner), '', 'PX', 3 * this.#beatMs);
    };
    await ask(beat);
    const beating = startPeriodic({
      everyMs: this.#beatMs,
      run: beat,
      onError: (error) => log.warn({ err: error }, 'no sign of life could be sent; the next one tries again'),
    });
    return {
      stop: () =>
        farewell(async () => {
          await beating.stop();
          await client.del(KEYS.tensorOwner(owner));
          await Promise.all(held().map((key) => client.srem(KEYS.tensors(key), owner)));
        }),
    };
  }
}
