import type { Stage } from '@segue/core';
import type { Demand } from '@segue/redis';
import type { WorkerInfo } from './heartbeats.js';
import type { QueueDepth } from './job-flows.js';
import type { QueueKey } from './queues.js';

/** Tasks per second that one busy worker of each stage does, batching included, as long as nothing was measured. */
export type SeedRates = Readonly<Record<Stage, number>>;

/** How much one stage has to do, as an autoscaler must know it. */
export interface StageLoad {
  /** Tasks that wait, are in work, or are known to come. */
  readonly tasks: number;
  /** Tasks per second that one busy worker does, batching included. */
  readonly tasksPerSecond: number;
  /** Seconds that one worker would need for those tasks: a worker for each few of them clears the backlog in that time. */
  readonly backlogSeconds: number;
  /** Workers that what comes lately keeps busy to `TARGET_UTILISATION`, refused requests included. */
  readonly demandWorkers: number;
  /** Workers that are heard of. */
  readonly workers: number;
  /** Share of their hands that hold a task. */
  readonly busy: number;
}

/** Share of its time that a worker should be busy: more of it, and a queue grows at every chance. */
const TARGET_UTILISATION = 0.7;
/** Busy time in seconds for which a seed counts beside what was measured. */
const SEED_SECONDS = 5;
/** Jobs for which one task in each stage counts beside what was measured. */
const SEED_JOBS = 10;

/** Computes the load of every stage from what Redis knows, so that it is the same wherever it is asked for. */
export function stageLoads(
  depth: Readonly<Record<QueueKey, QueueDepth>>,
  demand: Demand,
  workers: readonly Pick<WorkerInfo, 'stage' | 'active' | 'concurrency'>[],
  seeds: SeedRates,
): Record<Stage, StageLoad> {
  const all = ({ waiting, active, coming }: QueueDepth): number => waiting + active + coming;
  const jobs = demand.work('generate').done;
  const load = (stage: Stage): StageLoad => {
    const { done, busyMs, busyDone } = demand.work(stage);
    // Pictures are encoded ahead of a stage that has much before it: that is no more of them for each job.
    const visitsPerJob = (done + SEED_JOBS) / ((stage === 'encode' ? Math.max(done, jobs) : jobs) + SEED_JOBS);
    const tasksPerSecond = (busyDone + seeds[stage] * SEED_SECONDS) / (busyMs / 1000 + SEED_SECONDS);
    // What `encode` gives on waits in the queue of `generate` already; masks are asked for only as words are written.
    const tasks = all(depth[stage]) + (stage === 'decode' ? all(depth.generate) * visitsPerJob : 0);
    const here = workers.filter((worker) => worker.stage === stage);
    const hands = here.reduce((sum, { concurrency }) => sum + concurrency, 0);
    return {
      workers: here.length,
      busy: hands === 0 ? 0 : here.reduce((sum, { active }) => sum + active, 0) / hands,
      tasks,
      tasksPerSecond,
      backlogSeconds: tasks / tasksPerSecond,
      demandWorkers: (demand.arrivalsPerSecond * visitsPerJob) / tasksPerSecond / TARGET_UTILISATION,
    };
  };
  return { encode: load('encode'), generate: load('generate'), decode: load('decode') };
}
