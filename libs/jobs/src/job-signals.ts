import type { Redis } from 'ioredis';

import { KEYS } from './keys.js';

/** `event`: the log has grown. `end`: the job has ended. `reconnected`: signals may have been missed, look for yourself. */
export type JobSignal = 'event' | 'end' | 'reconnected';
type Listener = (signal: JobSignal) => void;

/** Wake-ups of jobs by publish/subscribe: one connection, however many listeners there are. */
export class JobSignals {
  private readonly listeners = new Map<string, Set<Listener>>();

  /** @param redis a connection of its own: one that listens can do nothing else. */
  constructor(private readonly redis: Redis) {
    redis.on('message', (channel: string, message: string) => {
      for (const listener of this.listeners.get(channel) ?? []) listener(message as JobSignal);
    });
    // ioredis subscribes again by itself, but what was published meanwhile is lost.
    redis.on('ready', () => {
      for (const listeners of this.listeners.values()) for (const listener of listeners) listener('reconnected');
    });
  }

  /**
   * Listens to one job. Once the promise has resolved no signal is missed.
   * @returns ends the listening.
   */
  async listen(jobId: string, listener: Listener): Promise<() => void> {
    const channel = KEYS.signal(jobId);
    const listeners = this.listeners.get(channel) ?? new Set();
    this.listeners.set(channel, listeners.add(listener));
    const stop = () => {
      listeners.delete(listener);
      if (listeners.size > 0 || this.listeners.get(channel) !== listeners) return;
      this.listeners.delete(channel);
      // A lost connection loses the subscription too; nothing is left to do then.
      this.redis.unsubscribe(channel).catch(() => undefined);
    };
    try {
      // Sent for every listener: the channel may have been left, or its first subscription not be acknowledged yet.
      await this.redis.subscribe(channel);
    } catch (error) {
      stop();
      throw error;
    }
    return stop;
  }
}
