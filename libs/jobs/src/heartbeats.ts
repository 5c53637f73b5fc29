import { hostname } from 'node:os';
import { startPeriodic, STAGES, type Periodic, type Stage } from '@segue/core';
import { KEYS, type JobScripts, type LoadScripts, type RedisConnection } from '@segue/redis';
import { z } from 'zod';
import type { WorkMeter } from './work-meter.js';

const workerInfo = z.object({
  /** Unique for its process. */
  id: z.string(),
  stage: z.enum(STAGES),
  /** `name@version` of its bundle. */
  model: z.string(),
  /** Of its bundle; an earlier version does not tell. */
  digest: z.string().optional(),
  /** What its graphs run on: `cpu`, `cuda:0`. */
  device: z.string().optional(),
  /** Tasks in hand, and how many it takes at most. */
  active: z.int().nonnegative(),
  concurrency: z.int().positive(),
});

/** What a worker says of itself. */
export type WorkerInfo = Readonly<z.infer<typeof workerInfo>>;

const BEAT_MS = 1_000;
/** A worker that is silent for so long counts no more: it is gone, frozen, or cut off. */
const SILENT_MS = 3_500;
const FORGOTTEN_MS = 60_000;

/** This process in logs and lists. */
export const WORKER_ID = `${hostname()}/${process.pid}`;

let started = 0;
/** Of one that takes tasks in this process. */
export const newWorkerId = () => `${WORKER_ID}-${++started}`;

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

/** Workers of a stage that are heard of. What says of itself what no worker does, does not count as one. */
export async function liveWorkers(scripts: JobScripts, stage: Stage): Promise<WorkerInfo[]> {
  return (await scripts.liveWorkers(stage, SILENT_MS)).flatMap((info) => parseInfo(info) ?? []);
}

function parseInfo(info: string): WorkerInfo | undefined {
  try {
    return workerInfo.safeParse(JSON.parse(info)).data;
  } catch {
    return undefined; // no JSON
  }
}
