import { KEYS, type RedisConnection } from '@segue/redis';

/** `event`: the log has grown. `end`: the job has ended. `reconnected`: signals may have been missed, look for yourself. */
export type JobSignal = 'event' | 'end' | 'reconnected';
type Listener = (signal: JobSignal) => void;

/** Wake-ups of jobs by publish/subscribe: one connection, however many listeners there are. */
export class JobSignals {
  readonly #redis: RedisConnection['client'];
  readonly #ask: RedisConnection['ask'];
  readonly #listeners = new Map<string, Set<Listener>>();

  constructor(redis: RedisConnection) {
    // A connection of its own: one that listens can do nothing else.
    this.#redis = redis.duplicate();
    this.#ask = redis.ask;
    this.#redis.on('message', (channel: string, message: string) => {
      for (const listener of this.#listeners.get(channel) ?? []) listener(message as JobSignal);
    });
    // ioredis subscribes again by itself, but what was published meanwhile is lost.
    this.#redis.on('ready', () => {
      for (const listeners of this.#listeners.values()) for (const listener of listeners) listener('reconnected');
    });
  }

  /**
   * Listens to one job. Once the promise has resolved no signal is missed.
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
      stop();
      throw error;
    }
    return stop;
  }
}
