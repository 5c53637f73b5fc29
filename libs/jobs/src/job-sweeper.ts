import { startPeriodic, type Periodic } from '@segue/core';
import { KEYS } from '@segue/redis';
import { deadlineExceeded } from './job-store.js';
import type { JobParts } from './task-host.js';

export interface JobSweeperOptions {
  /** Time between two looks, which is also how late a deadline may be noticed. */
  readonly everyMs?: number;
  /** How long a job may be written down without its flow before it counts as forgotten. */
  readonly forgottenAfterMs?: number;
}

/** Jobs looked at in one go. */
const BATCH = 100;

/**
 * Ends jobs at their deadline, wherever they wait, and starts those that were never started, because whoever took them died
 * in between. Runs beside every gateway; several of them do no harm, since only the first end of a job counts and a flow
 * is added once.
 */
export function startSweeper(parts: JobParts, options: JobSweeperOptions = {}): Periodic {
  const { everyMs = 500, forgottenAfterMs = 5_000 } = options;
  return startPeriodic({
    everyMs,
    async run() {
      for (;;) {
        const { late, forgotten } = await parts.store.scripts.sweep(forgottenAfterMs, BATCH);
        await endLate(parts, late);
        await startForgotten(parts, forgotten);
        if (late.length < BATCH) return;
      }
    },
    onError: (error) => parts.redis.log.warn({ err: error }, 'sweeping failed; trying again'),
  });
}

async function endLate({ redis, store, flows }: JobParts, late: readonly string[]): Promise<void> {
  await Promise.all(
    late.map(async (jobId) => {
      if (await store.fail(jobId, deadlineExceeded())) {
        redis.log.info({ jobId }, 'deadline passed');
        await flows.withdraw(jobId);
      } else {
        // Its record is gone already, lifetime and all.
        await redis.ask(() => redis.client.zrem(KEYS.deadlines, jobId));
      }
    }),
  );
}

async function startForgotten({ redis, store, flows }: JobParts, jobIds: readonly string[]): Promise<void> {
  for (const jobId of jobIds) {
    const record = await store.find(jobId);
    if (record && !(await flows.isStarted(jobId))) await flows.start(jobId, record.request);
    await redis.ask(() => redis.client.zrem(KEYS.unsent, jobId));
  }
  if (jobIds.length > 0) redis.log.warn({ forgotten: jobIds.length }, 'started jobs that had been written down only');
}
