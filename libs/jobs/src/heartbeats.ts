import { hostname } from 'node:os';
import { startPeriodic, type Periodic, type Stage } from '@segue/core';
import { KEYS, type JobScripts, type LoadScripts, type RedisConnection } from '@segue/redis';
import type { WorkMeter } from './work-meter.js';

/** What a worker says of itself. */
export interface WorkerInfo {
  /** Unique for its process. */
  readonly id: string;
  readonly stage: Stage;
  /** `name@version` of its bundle. */
  readonly model: string;
  /** What its graphs run on: `cpu`, `cuda:0`. */
  readonly device?: string;
  /** Tasks in hand, and how many it takes at most. */
  readonly active: number;
  readonly concurrency: number;
}

const BEAT_MS = 1_000;
/** A worker that is silent for so long counts no more: it is gone, frozen, or cut off. */
const SILENT_MS = 3_500;
const FORGOTTEN_MS = 60_000;

/** This process in logs and lists. */
export const WORKER_ID = `${hostname()}/${process.pid}`;

/** A worker that says it is there, for as long as it takes tasks. */
export function startHeartbeat(
  redis: RedisConnection,
  { scripts, load, meter }: { readonly scripts: JobScripts; readonly load: LoadScripts; readonly meter: WorkMeter },
  describe: () => WorkerInfo,
): Periodic {
  const { stage, id } = describe();
  const periodic = startPeriodic({
    everyMs: BEAT_MS,
    first: 'now',
    async run() {
      await scripts.heartbeat(stage, id, JSON.stringify(describe()), FORGOTTEN_MS);
      const work = meter.take();
      if (work.done > 0 || work.busyMs > 0) await load.addWork(stage, work);
    },
    onError: (error) => redis.log.warn({ err: error }, 'no heartbeat could be sent'),
  });
  return {
    stop: () =>
      redis.farewell(async () => {
        await periodic.stop();
        await redis.client.zrem(KEYS.workers(stage), id);
      }),
  };
}

/** Workers of a stage that are heard of. */
export async function liveWorkers(scripts: JobScripts, stage: Stage): Promise<WorkerInfo[]> {
  return (await scripts.liveWorkers(stage, SILENT_MS)).map((info) => JSON.parse(info) as WorkerInfo);
}
