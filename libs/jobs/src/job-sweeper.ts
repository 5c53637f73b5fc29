import { SegueError } from '@segue/core';

import { KEYS } from './keys.js';
import type { Jobs } from './open-jobs.js';
import { askRedis } from './redis.js';

export interface JobSweeperOptions {
  /** Time between two looks, which is also how late a deadline may be noticed. */
  readonly everyMs?: number;
  /** How long a job may be written down without its flow before it counts as forgotten. */
  readonly forgottenAfterMs?: number;
}

/** The job took longer than it was allowed to. */
export function deadlineExceeded(): SegueError {
  return new SegueError(
    'DEADLINE_EXCEEDED',
    'The job was not done by its deadline. Allow more time, or ask again later.',
  );
}

/**
 * Ends jobs at their deadline, wherever they wait, and starts those that were never started. Runs beside every gateway;
 * several of them do no harm, since only the first end of a job counts and a flow is added once.
 */
export class JobSweeper {
  private timer: NodeJS.Timeout | undefined;
  private sweeping: Promise<void> = Promise.resolve();
  private readonly everyMs: number;
  private readonly forgottenAfterMs: number;

  constructor(
    private readonly jobs: Jobs,
    options: JobSweeperOptions = {},
  ) {
    this.everyMs = options.everyMs ?? 500;
    this.forgottenAfterMs = options.forgottenAfterMs ?? 5_000;
  }

  start(): void {
    this.timer = setTimeout(() => {
      this.sweeping = this.sweep()
        .catch((error: unknown) => this.jobs.log.warn({ err: error }, 'sweeping failed; trying again'))
        .finally(() => this.timer && this.start());
    }, this.everyMs);
  }

  async stop(): Promise<void> {
    clearTimeout(this.timer);
    this.timer = undefined;
    await this.sweeping;
  }

  private async sweep(): Promise<void> {
    const { redis, store, producer, log } = this.jobs;
    const late = await askRedis(() => redis.zrangebyscore(KEYS.deadlines, 0, Date.now(), 'LIMIT', 0, 100));
    for (const jobId of late) {
      if (await store.fail(jobId, deadlineExceeded())) {
        log.info({ jobId }, 'deadline passed');
        await producer.withdraw(jobId);
      } else {
        // Its record is gone already, lifetime and all.
        await askRedis(() => redis.zrem(KEYS.deadlines, jobId));
      }
    }
    const forgotten = await producer.startForgotten(this.forgottenAfterMs);
    if (forgotten > 0) log.warn({ forgotten }, 'started jobs that had been written down only');
  }
}
