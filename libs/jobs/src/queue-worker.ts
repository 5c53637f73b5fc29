import { setTimeout as sleep } from 'node:timers/promises';
import { isStoreAway } from '@segue/core';
import { redisError } from '@segue/redis';
import { Worker, type Job, type Processor, type WorkerOptions } from 'bullmq';

/** Between attempts to take a task while Redis refuses writes; twice as long each time. */
const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 2_000;

/**
 * BullMQ's worker, for a Redis that is there but refuses writes: full, or without its disk or its replicas. BullMQ by itself asks
 * for tasks again as fast as it is refused, and looks no more for those of dead workers once that was refused.
 */
export class QueueWorker extends Worker<unknown, void> {
  readonly #closing = new AbortController();
  #pauseMs = FIRST_PAUSE_MS;
  #looksAgain: NodeJS.Timeout | undefined;

  constructor(name: string, processor: Processor<unknown, void>, options: WorkerOptions) {
    super(name, processor, options);
    this.on('error', (error) => {
      if (isRefusal(error)) this.#lookAgain();
    });
  }

  override close(force?: boolean): Promise<void> {
    this.#closing.abort();
    clearTimeout(this.#looksAgain);
    return super.close(force);
  }

  protected override async moveToActive(token: string, name?: string): Promise<Job<unknown, void>> {
    try {
      const job = await super.moveToActive(token, name);
      this.#pauseMs = FIRST_PAUSE_MS;
      return job;
    } catch (error) {
      if (isRefusal(error)) {
        await sleep(this.#pauseMs, undefined, this.#closing).catch(() => undefined); // ends early when it closes
        this.#pauseMs = Math.min(2 * this.#pauseMs, LONGEST_PAUSE_MS);
      }
      throw error;
    }
  }

  /** Begins the looking for stalled tasks anew, which may have ended with the refusal. */
  #lookAgain(): void {
    this.#looksAgain ??= setTimeout(() => {
      this.#looksAgain = undefined;
      if (!this.closing) this.startStalledCheckTimer().catch((error: Error) => this.emit('error', error));
    }, this.opts.stalledInterval);
  }
}

function isRefusal(error: unknown): boolean {
  return isStoreAway(redisError(error));
}
