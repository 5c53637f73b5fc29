import { join } from 'node:path';
import { loadBundle } from '@segue/bundle';
import { type Blobs, type SegueError, type Stage } from '@segue/core';
import { Jobs, type StageHost } from '@segue/jobs';
import { chooseDevice, deviceName, openSessions } from '@segue/onnx';
import { Pictures } from '@segue/pictures';
import { openRedis, type RedisConnection } from '@segue/redis';
import { DRAIN_SHARE, redisOf, runService, waitFor, type App, type Logger, type ServiceConfig } from '@segue/service';
import { TensorDirectory } from '@segue/tensor-exchange';
import { followCertificates, grpcChannelCredentials, grpcServerCredentials, tlsFilesOf } from '@segue/tls';
import { WorkerMetrics } from './metrics.js';
import type { OpenStage, StageContext } from './stage-context.js';
import { TensorPuller } from './tensor-puller.js';

/** A changed certificate cannot be used. */
const OLD_HOLDS = 'the certificates were changed but cannot be used: the old ones hold';

/** The settings that the kit itself reads; `workerSettings()` declares them. */
export interface WorkerConfig extends ServiceConfig {
  readonly redisUrl: string;
  readonly redisSentinels: readonly string[];
  readonly redisSentinelPassword: string;
  readonly redisCaFile: string;
  readonly redisCertFile: string;
  readonly redisKeyFile: string;
  readonly internalCertFile: string;
  readonly internalKeyFile: string;
  readonly internalCaFile: string;
  readonly internalPeerName: string;
  readonly modelsDir: string;
  readonly model: string;
  readonly jobKeepMs: number;
  readonly pictureKeepMs: number;
  readonly concurrency: number;
  readonly device: string;
  readonly threads: number;
  readonly runLimitMs: number;
}

export interface WorkerDescription<S extends Stage, C extends WorkerConfig> extends App<C> {
  readonly stage: S;
  /** Opens what keeps the bytes of pictures, for a stage that reads them; undefined where that is Redis. */
  openBlobs?(config: C, logger: Logger): Promise<Blobs | undefined>;
  /** Loads the model and tries it out: a worker that cannot answer never becomes ready. */
  openStage(context: StageContext<C>): Promise<OpenStage<S>>;
}

/** Runs a stage worker as this process: loads the bundle, opens the stage, takes tasks, drains when told to stop. */
export async function runWorker<S extends Stage, C extends WorkerConfig>(
  description: WorkerDescription<S, C>,
): Promise<void> {
  const { stage } = description;
  await runService(description, (context) => {
    const { config, logger, lifecycle, metrics: registry } = context;
    // Closed in reverse order of opening.
    const closing: (() => Promise<void> | void)[] = [];
    let host: StageHost<S> | undefined;
    let starting: Promise<void> | undefined;
    let started = false;
    let redis: RedisConnection | undefined;
    const stopping = new AbortController();
    const start = async (): Promise<void> => {
      const metrics = new WorkerMetrics(registry, stage);
      const bundle = await loadBundle(join(config.modelsDir, config.model));
      logger.info({ bundle: bundle.id, digest: bundle.digest.slice(0, 12) }, 'bundle verified');
      if (bundle.manifest.purpose === 'test-only') logger.warn('this bundle has random weights and is for tests alone');

      const { device, fallback } = await chooseDevice(config.device);
      metrics.runsOn(deviceName(device));
      logger.info({ device: deviceName(device), ...(fallback !== undefined && { fallback }) }, 'device chosen');

      const connection = openRedis({ ...redisOf(config), role: 'worker', log: logger });
      redis = connection;
      closing.push(() => connection.close());
      const jobs = new Jobs(connection, config);
      closing.push(() => jobs.close());
      const blobs = await description.openBlobs?.(config, logger);
      if (blobs) {
        closing.push(() => blobs.close());
        await waitFor(context, () => blobs.problem('read'));
        if (lifecycle.state !== 'warming') return;
      }
      const directory = new TensorDirectory(connection);
      const files = tlsFilesOf('SEGUE_INTERNAL', {
        certFile: config.internalCertFile,
        keyFile: config.internalKeyFile,
        caFile: config.internalCaFile,
      });
      const certificates =
        files && (await followCertificates(files, { onError: (error) => logger.error({ err: error }, OLD_HOLDS) }));
      if (certificates) closing.push(() => certificates.stop());
      const peerName = config.internalPeerName || undefined;
      const tls = certificates && grpcChannelCredentials(certificates, { peerName });
      const tensors = new TensorPuller(directory, metrics, tls);
      closing.push(() => tensors.close());

      const open = await description.openStage({
        config,
        bundle,
        pictures: new Pictures(connection, { keepMs: config.pictureKeepMs, blobs }),
        directory,
        tensors,
        serverCredentials: certificates && grpcServerCredentials(certificates),
        metrics,
        registry,
        logger,
        async openGraphs(keys) {
          const group = await openSessions(bundle, keys, {
            device,
            threads: config.threads,
            hardLimitMs: config.runLimitMs,
            signal: stopping.signal,
            onFatal: (error) => endProcess(logger, error),
          });
          closing.push(() => group.close());
          return metrics.timed(group).sessions;
        },
      });
      closing.push(() => open.close?.() ?? Promise.resolve());
      if (lifecycle.state !== 'warming') return;
      host = jobs.stageHost<S>({
        stage,
        concurrency: config.concurrency,
        process: open.process,
        bundle,
        device: deviceName(device),
        onReport: (report) => metrics.task(report),
      });
      await host.start();
      const sweeper = jobs.startSweeper();
      closing.push(() => sweeper.stop());
      started = true;
    };
    return {
      start: () => (starting = start()),
      async stop(graceMs) {
        stopping.abort();
        // One that starts would wait for a Redis that is away for as long as it takes.
        const isWaiting = !started && redis?.client.status !== 'ready';
        if (isWaiting) redis?.close();
        // A graph that is being loaded cannot be stopped, and ending the process under it would crash. With a host all are loaded, and
        // it may not hear that there will be no Redis.
        if (!isWaiting || !host) await starting?.catch(() => undefined); // told by whoever started it
        await host?.close({ graceMs: graceMs * DRAIN_SHARE });
        for (const close of closing.reverse()) await close();
      },
    };
  });
}

/**
 * A native run cannot be stopped, so a hung one takes the process with it, and by force: an orderly exit would wait for the
 * thread that hangs. The queue gives its tasks to another worker.
 */
function endProcess(logger: Logger, error: SegueError): void {
  logger.fatal({ err: error }, 'ending the process: the model does not answer any more');
  logger.flush(() => process.kill(process.pid, 'SIGKILL'));
  setTimeout(() => process.kill(process.pid, 'SIGKILL'), 1_000);
}
