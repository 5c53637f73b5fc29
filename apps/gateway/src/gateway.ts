import { setTimeout as sleep } from 'node:timers/promises';
import { AnswerStage, JobSweeper, openJobs, type Jobs } from '@segue/jobs';
import { DRAIN_SHARE, type Lifecycle, type Logger } from '@segue/service';
import type { GatewayConfig } from './config.js';
import type { GrpcEdge } from './grpc/grpc-edge.js';
import type { JobMetrics } from './metrics/job-metrics.js';
import type { SegmentationService } from './segmentation/segmentation.service.js';

const REDIS_LOOK_EVERY_MS = 500;

/** What runs beside the HTTP server, started and stopped in order: gRPC, the root stage of jobs, the sweeper, the counting. */
export class Gateway {
  readonly #background: Jobs;
  readonly #answers: AnswerStage;
  readonly #sweeper: JobSweeper;
  /** Where gRPC is served; 0 before. */
  grpcPort = 0;

  constructor(
    private readonly config: GatewayConfig,
    private readonly logger: Logger,
    private readonly lifecycle: Lifecycle,
    private readonly jobs: Jobs,
    private readonly service: SegmentationService,
    private readonly grpc: GrpcEdge,
    private readonly metrics: JobMetrics,
  ) {
    // Connections of its own: work on queues waits for a Redis that is away, requests must not.
    this.#background = openJobs({ ...jobsOptions(config, logger), role: 'worker' });
    this.#answers = new AnswerStage({ jobs: this.#background, concurrency: config.concurrency });
    this.#sweeper = new JobSweeper(this.#background);
  }

  async start(): Promise<void> {
    await this.#redis();
    if (this.lifecycle.state !== 'warming') return;
    await this.#answers.start();
    this.#sweeper.start();
    this.metrics.start();
    this.grpcPort = await this.grpc.start(this.config.host, this.config.grpcPort);
    this.logger.info({ port: this.grpcPort }, 'listening for gRPC');
  }

  /** Watchers go at once, gRPC calls that wait for an answer have most of `graceMs`; the rest is for HTTP and for closing. */
  async stop(graceMs: number): Promise<void> {
    this.service.stopWatching();
    await this.grpc.close(graceMs * DRAIN_SHARE);
  }

  /** Nest calls this when the HTTP server has answered its last request. */
  async onApplicationShutdown(): Promise<void> {
    await Promise.all([this.#sweeper.stop(), this.metrics.stop()]);
    await this.#answers.close({ graceMs: 1_000 });
    await Promise.all([this.#background.close(), this.jobs.close()]);
  }

  async #redis(): Promise<void> {
    if (await this.jobs.ping()) return;
    this.logger.warn('waiting for Redis');
    while (this.lifecycle.state === 'warming' && !(await this.jobs.ping())) await sleep(REDIS_LOOK_EVERY_MS);
  }
}

export function jobsOptions(config: GatewayConfig, logger: Logger): Omit<Parameters<typeof openJobs>[0], 'role'> {
  return { url: config.redisUrl, jobKeepMs: config.jobKeepMs, pictureKeepMs: config.pictureKeepMs, log: logger };
}
