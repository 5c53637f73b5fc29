import { isStoreAway, startPeriodic, type Periodic } from '@segue/core';
import { KEYS, SCHEMA } from '@segue/redis';
import { DeadLetters } from './dead-letters.js';
import { WORKER_ID } from './heartbeats.js';
import type { JobFlows } from './job-flows.js';
import { deadlineExceeded } from './job-store.js';
import type { JobParts } from './task-host.js';

export interface JobSweeperOptions {
  /** Time between two looks, which is also how late a deadline may be noticed. */
  readonly everyMs?: number;
  /** How long a job may be written down without its flow before it counts as forgotten. */
  readonly forgottenAfterMs?: number;
}

interface SweeperParts extends Pick<JobParts, 'redis' | 'store'> {
  readonly flows: Pick<JobFlows, 'withdraw' | 'isStarted' | 'start'>;
}

/** Jobs looked at in one go. */
const BATCH = 100;

/**
 * Ends jobs at their deadline, wherever they wait, and starts those that were never started, because whoever took them died
 * in between. Runs in every gateway and every worker, so that deadlines hold as long as one of them is there; several of them do
 * no harm, since only the first end of a job counts and a flow is added once.
 */
export function startSweeper(parts: SweeperParts, options: JobSweeperOptions = {}): Periodic {
  const { everyMs = 800, forgottenAfterMs = 5_000 } = options;
  const onError = (error: unknown): void => parts.redis.log.warn({ err: error }, 'sweeping failed; trying again');
  // Taking many jobs out of the queues takes time, in which the deadlines of others pass.
  let withdrawing = Promise.resolve();
  const withdraw = async (jobIds: readonly string[]): Promise<void> => {
    await withdrawing;
    await Promise.all(jobIds.map((jobId) => parts.flows.withdraw(jobId)));
  };
  const periodic = startPeriodic({
    everyMs,
    async run() {
      for (;;) {
        const { late, forgotten } = await parts.store.scripts.sweep(forgottenAfterMs, BATCH);
        const ended = await endLate(parts, late);
        if (ended.length > 0) withdrawing = withdraw(ended).catch(onError);
        await startForgotten(parts, forgotten);
        if (late.length < BATCH) return;
      }
    },
    onError,
  });
  return {
    stop: () =>
      // Its commands wait for a Redis that is away.
      parts.redis.farewell(async () => {
        await periodic.stop();
        await withdrawing;
      }),
  };
}

/** @returns the jobs that ended with it. */
async function endLate(parts: SweeperParts, late: readonly string[]): Promise<string[]> {
  const { redis, store } = parts;
  const ended: string[] = [];
  await Promise.all(
    late.map((jobId) =>
      orPutAway(parts, jobId, async () => {
        if (await store.fail(jobId, deadlineExceeded())) {
          redis.log.info({ jobId }, 'deadline passed');
          ended.push(jobId);
        } else {
          // Its record is gone already, lifetime and all.
          await redis.ask(() => redis.client.zrem(KEYS.deadlines, jobId));
        }
      }),
    ),
  );
  return ended;
}

async function startForgotten(parts: SweeperParts, jobIds: readonly string[]): Promise<void> {
  const { redis, store, flows } = parts;
  for (const jobId of jobIds) {
    await orPutAway(parts, jobId, async () => {
      const record = await store.find(jobId);
      if (record && record.schema > SCHEMA) return; // its flow is not ours to make
      if (record && !(await flows.isStarted(jobId))) await flows.start(jobId, record.place);
      await redis.ask(() => redis.client.zrem(KEYS.unsent, jobId));
    });
  }
  if (jobIds.length > 0) redis.log.warn({ forgotten: jobIds.length }, 'started jobs that had been written down only');
}

/** One record that nobody can read must not keep the sweeper from all others. */
async function orPutAway({ redis }: SweeperParts, jobId: string, work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    if (isStoreAway(error)) throw error;
    const reason = 'its record cannot be read';
    redis.log.error({ err: error, jobId, reason }, 'dead letter');
    await redis.ask(() => redis.client.zrem(KEYS.deadlines, jobId));
    await redis.ask(() => redis.client.zrem(KEYS.unsent, jobId));
    const letter = { jobId, queue: '', taskId: '', reason, deaths: 0, diedIn: [], worker: WORKER_ID, atMs: Date.now() };
    await new DeadLetters(redis).add(letter);
  }
}
