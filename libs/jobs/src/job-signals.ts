import { setTimeout as sleep } from 'node:timers/promises';
import { isStoreAway } from '@segue/core';
import { KEYS, type RedisConnection } from '@segue/redis';

/** `event`: the log has grown. `end`: the job has ended. `reconnected`: signals may have been missed, look for yourself. */
export type JobSignal = 'event' | 'end' | 'reconnected';
type Listener = (signal: JobSignal) => void;

/** Between attempts to subscribe again, while Redis is there and does not take it. */
const SUBSCRIBE_AGAIN_MS = 1_000;

/** Wake-ups of jobs by publish/subscribe: one connection, however many listeners there are. */
export class JobSignals {
  readonly #redis: ReturnType<RedisConnection['listener']>;
  readonly #ask: RedisConnection['ask'];
  readonly #log: RedisConnection['log'];
  readonly #listeners = new Map<string, Set<Listener>>();

  constructor(redis: RedisConnection) {
    // A connection of its own: one that listens can do nothing else.
    this.#redis = redis.listener();
    this.#ask = redis.ask;
    this.#log = redis.log;
    this.#redis.on('message', (channel: string, message: string) => {
      for (const listener of this.#listeners.get(channel) ?? []) listener(message as JobSignal);
    });
    this.#redis.on('ready', () => void this.#subscribeAgain());
  }

  /** A connection that is new has no subscriptions. What was published meanwhile is lost, so everybody must look once all are there again. */
  async #subscribeAgain(): Promise<void> {
    while (this.#redis.status === 'ready' && this.#listeners.size > 0) {
      try {
        await this.#ask(() => this.#redis.subscribe(...this.#listeners.keys()));
        for (const listeners of this.#listeners.values()) for (const listener of listeners) listener('reconnected');
        return;
      } catch (error) {
        this.#log.warn({ err: error }, 'signals of jobs cannot be heard; trying again');
        await sleep(SUBSCRIBE_AGAIN_MS);
      }
    }
  }

  /**
   * Listens to one job. Once the promise has resolved no signal is missed, or the listener will hear `reconnected`: the connection that
   * listens may be away for a moment while Redis is there.
   * @returns ends the listening.
   */
  async listen(jobId: string, listener: Listener): Promise<() => void> {
    const channel = KEYS.signal(jobId);
    const listeners = this.#listeners.get(channel) ?? new Set();
    this.#listeners.set(channel, listeners.add(listener));
    const stop = () => {
      listeners.delete(listener);
      if (listeners.size > 0 || this.#listeners.get(channel) !== listeners) return;
      this.#listeners.delete(channel);
      // A lost connection loses the subscription too; nothing is left to do then.
      this.#redis.unsubscribe(channel).catch(() => undefined);
    };
    try {
      // Sent for every listener: the channel may have been left, or its first subscription not be acknowledged yet.
      await this.#ask(() => this.#redis.subscribe(channel));
    } catch (error) {
      if (isStoreAway(error)) {
        void this.#subscribeAgain();
        return stop;
      }
      stop();
      throw error;
    }
    return stop;
  }
}
