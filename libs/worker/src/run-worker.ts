import { join } from 'node:path';
import { loadBundle } from '@segue/bundle';
import { type SegueError, type Stage } from '@segue/core';
import { openJobs, StageHost } from '@segue/jobs';
import { openSessions } from '@segue/onnx';
import {
  DRAIN_SHARE,
  runService,
  type App,
  type Logger,
  type ServiceConfig,
  type ServiceContext,
} from '@segue/service';
import { WorkerMetrics } from './metrics.js';
import { refuseOtherModels } from './other-models.js';
import type { StageWorker } from './stage-worker.js';
import { Tensors } from './tensors.js';

/** The settings that the kit itself reads; `workerSettings()` declares them. */
export interface WorkerConfig extends ServiceConfig {
  readonly redisUrl: string;
  readonly modelsDir: string;
  readonly model: string;
  readonly jobKeepMs: number;
  readonly pictureKeepMs: number;
  readonly concurrency: number;
  readonly threads: number;
  readonly runLimitMs: number;
  readonly tensorPort: number;
  readonly tensorHost: string;
  readonly tensorCacheBytes: number;
}

export interface WorkerDescription<S extends Stage, C extends WorkerConfig> extends App<C> {
  readonly stage: S;
  worker(context: ServiceContext<C>): StageWorker<S>;
}

/** How long pulls that have begun may take to end. */
const TENSOR_GRACE_MS = 2_000;

/** Runs a stage worker as this process: loads the bundle, opens the stage, takes tasks, drains when told to stop. */
export async function runWorker<S extends Stage, C extends WorkerConfig>(
  description: WorkerDescription<S, C>,
): Promise<void> {
  const { stage } = description;
  await runService(description, (context) => {
    const { config, logger } = context;
    // Closed in reverse order of opening.
    const closing: (() => Promise<void>)[] = [];
    let host: StageHost<S> | undefined;
    return {
      async start() {
        const metrics = new WorkerMetrics(context.metrics, stage);
        const bundle = await loadBundle(join(config.modelsDir, config.model));
        logger.info({ bundle: bundle.id, digest: bundle.digest.slice(0, 12) }, 'bundle verified');
        if (bundle.manifest.purpose === 'test-only')
          logger.warn('this bundle has random weights and is for tests alone');

        const jobs = openJobs({ ...config, url: config.redisUrl, role: 'worker', log: logger });
        closing.push(() => jobs.close());
        const tensors = new Tensors(config, jobs, metrics);
        closing.push(() => Promise.resolve(tensors.close()));

        const worker = description.worker(context);
        await worker.open({
          bundle,
          jobs,
          tensors,
          metrics,
          logger,
          async openGraphs(keys) {
            const group = await openSessions(bundle, keys, {
              threads: config.threads,
              hardLimitMs: config.runLimitMs,
              onFatal: (error) => endProcess(logger, error),
            });
            closing.push(() => group.close());
            return metrics.timed(group).sessions;
          },
          async openTensorHost() {
            const tensorHost = await tensors.host(logger);
            closing.push(() => tensorHost.close({ graceMs: TENSOR_GRACE_MS }));
            return tensorHost;
          },
        });
        closing.push(() => worker.close?.() ?? Promise.resolve());
        host = new StageHost<S>({
          stage,
          jobs,
          concurrency: config.concurrency,
          process: (context) => {
            refuseOtherModels(bundle, context);
            return worker.process(context);
          },
          onReport: (report) => metrics.task(report),
        });
        await host.start();
      },
      async stop(graceMs) {
        await host?.close({ graceMs: graceMs * DRAIN_SHARE });
        for (const close of closing.reverse()) await close();
      },
    };
  });
}

/** A native run cannot be stopped, so a hung one takes the process with it; the queue gives its tasks to another worker. */
function endProcess(logger: Logger, error: SegueError): void {
  logger.fatal({ err: error }, 'ending the process: the model does not answer any more');
  logger.flush();
  process.exit(1);
}
