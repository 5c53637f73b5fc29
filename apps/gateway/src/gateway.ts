import type { DynamicModule } from '@nestjs/common';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { SegueError, type Blobs, type Periodic } from '@segue/core';
import { startRenderer, type Renderer } from '@segue/imaging';
import { Jobs, type TaskHost } from '@segue/jobs';
import { Pictures, startPictureSweep } from '@segue/pictures';
import { openRedis, type RedisConnection } from '@segue/redis';
import { DRAIN_SHARE, redisOf, waitFor, type ServiceContext, type ServiceOptions } from '@segue/service';
import { BatchRunner, BatchStore } from '@segue/batches';
import { openBlobs } from '@segue/blobs';
import { followCertificates, grpcServerCredentials, tlsFilesOf, type Certificates } from '@segue/tls';
import { WebhookQueue, type Webhooks } from '@segue/webhooks';
import type { FastifyInstance, FastifyServerOptions } from 'fastify';
import { AdminModule } from './admin/admin.module.js';
import { markBusyPods } from './admin/busy-pods.js';
import { serveBoard } from './admin/board.js';
import { LoadReader } from './admin/load-reader.js';
import { requireOperatorsKey } from './admin/operators.js';
import { openAccess, type Access } from './access/access.js';
import { RateLimits } from './access/rate-limits.js';
import type { GatewayConfig } from './config.js';
import { GatewayModule } from './gateway.module.js';
import { GrpcEdge } from './grpc/grpc-edge.js';
import { configureHttp, describeApi, fastifyOptions } from './http/http-edge.js';
import { ProblemFilter } from './http/problem.js';
import { GatewayMetrics } from './metrics/gateway-metrics.js';
import { JobMetrics } from './metrics/job-metrics.js';
import { measureLoad } from './metrics/load-metrics.js';
import { LabelStudioFiles } from './annotation/label-studio-files.js';
import { lineAnswerer } from './batches/answer-line.js';
import { Infer } from './inference/infer.js';
import { endedJob, openWebhooks } from './webhooks.js';
import { Uploads } from './uploads.js';
import { UsageReader } from './usage/usage-reader.js';
import { ModelCatalogue } from './models/model-catalogue.js';
import { Arrivals } from './segmentation/arrivals.js';
import { Intake } from './segmentation/intake.js';
import { SegmentationService } from './segmentation/segmentation.service.js';

/** How long a request waits for a picture store that asks for patience, such as S3 by SlowDown. */
const PICTURE_PATIENCE_MS = 2_000;
const REDIS_AWAY = 'Redis does not answer. Start it, or correct SEGUE_REDIS_URL.';
/** Masks and overlays that may wait for a thread: an answer has a handful. */
const RENDERINGS_WAITING = 256;

/** Makes a gateway of its parts. @throws SegueError when the bundle cannot be read. */
export async function composeGateway(context: ServiceContext<GatewayConfig>): Promise<Gateway> {
  const { config, logger, metrics: registry } = context;
  const access = await openAccess(config, logger);
  const catalogue = await ModelCatalogue.load(config.modelsDir, config.model);

  const certificates = await openCertificates(config, logger);
  const redis = openRedis({ ...redisOf(config), role: 'producer', log: logger });
  const jobs = new Jobs(redis, config);
  const blobs = await openBlobs(config.pictureStore, { patienceMs: PICTURE_PATIENCE_MS, log: logger });
  const pictures = new Pictures(redis, { keepMs: config.pictureKeepMs, blobs });
  // A connection of its own: work on queues waits for a Redis that is away, requests must not.
  const backgroundRedis = openRedis({ ...redisOf(config), role: 'worker', log: logger });
  const background = new Jobs(backgroundRedis, config);

  const { renderThreads: threads, maxRenderedBytes: maxKeptBytes } = config;
  const renderer = startRenderer({ threads, maxKeptBytes, maxWaiting: RENDERINGS_WAITING });
  const arrivals = new Arrivals(jobs, logger);
  const webhooks = openWebhooks(config, backgroundRedis, logger);
  const rates = new RateLimits(redis);
  const metrics = new GatewayMetrics(registry, jobs, logger);
  const intake = new Intake(config, { jobs, pictures, catalogue, arrivals, rates, webhooks, metrics });
  const service = new SegmentationService(config, jobs, pictures, intake, renderer, logger, metrics);
  const infer = new Infer(service, catalogue);
  const batchStore = new BatchStore(backgroundRedis, { keepMs: config.batchKeepMs });
  const problems = new ProblemFilter(logger);
  const loads = new LoadReader(jobs, {
    encode: config.encodeTasksPerSecond,
    generate: config.generateTasksPerSecond,
    decode: config.decodeTasksPerSecond,
  });
  measureLoad(registry, loads, logger);
  const usage = new UsageReader(jobs.usage, pictures);
  const uploads = new Uploads(config.maxUploadBytesHeld);
  return new Gateway(context, {
    access,
    certificates,
    redis,
    jobs,
    backgroundRedis,
    background,
    blobs,
    renderer,
    service,
    metrics,
    uploads,
    module: GatewayModule.over({
      service,
      catalogue,
      infer,
      usage,
      batches: new BatchStore(redis, { keepMs: config.batchKeepMs }),
      labelStudioFiles: new LabelStudioFiles(config),
      problems,
    }),
    admin: AdminModule.over(loads, usage, problems, config.adminKey ? jobs : undefined),
    grpc: new GrpcEdge(
      { service, catalogue, infer },
      {
        access,
        uploads,
        credentials: certificates && grpcServerCredentials(certificates),
        config,
        reflection: config.apiDocs === 'public',
        metrics,
        logger,
      },
    ),
    webhooks,
    batches: new BatchRunner(batchStore, lineAnswerer(service, access), logger, {
      concurrency: config.batchConcurrency,
    }),
    answers: background.answerStage({ concurrency: config.concurrency }),
    counting: new JobMetrics(registry, jobs, logger, new WebhookQueue(redis)),
    arrivals,
  });
}

interface Parts {
  readonly access: Access;
  /** None: without TLS. */
  readonly certificates: Certificates | undefined;
  /** For requests. */
  readonly redis: RedisConnection;
  readonly jobs: Jobs;
  /** For the queue of the root stage, and for sweeping. */
  readonly backgroundRedis: RedisConnection;
  readonly background: Jobs;
  /** Where the bytes of pictures are, unless in Redis. */
  readonly blobs: Blobs | undefined;
  readonly renderer: Renderer;
  readonly service: SegmentationService;
  readonly metrics: GatewayMetrics;
  readonly uploads: Uploads;
  readonly module: DynamicModule;
  readonly admin: DynamicModule;
  readonly grpc: GrpcEdge;
  readonly webhooks: Webhooks | undefined;
  readonly batches: BatchRunner;
  readonly answers: TaskHost;
  readonly counting: JobMetrics;
  readonly arrivals: Arrivals;
}

/** The gateway's life: both edges, the root stage of jobs, the sweeper, the counting; started and stopped in order. */
export class Gateway implements ServiceOptions {
  readonly module: DynamicModule;
  readonly admin: DynamicModule;
  readonly fastify: FastifyServerOptions;
  /** Where gRPC is served; 0 before. */
  grpcPort = 0;
  readonly #context: ServiceContext<GatewayConfig>;
  readonly #parts: Parts;
  /** What repeats. */
  #periodic: readonly Periodic[] = [];

  constructor(context: ServiceContext<GatewayConfig>, parts: Parts) {
    this.module = parts.module;
    this.admin = parts.admin;
    this.fastify = fastifyOptions(context.config, parts.certificates);
    this.#context = context;
    this.#parts = parts;
  }

  async configure(app: NestFastifyApplication, admin: NestFastifyApplication): Promise<void> {
    const { config } = this.#context;
    await configureHttp(app, this.#context, this.#parts);
    describeApi(app, config.apiDocs === 'public' ? app : admin);
    if (config.adminKey) {
      const fastify = admin.getHttpAdapter().getInstance() as unknown as FastifyInstance;
      requireOperatorsKey(fastify, config.adminKey);
      await serveBoard(fastify, this.#parts.jobs);
    }
  }

  async start(): Promise<void> {
    const { config, lifecycle, logger } = this.#context;
    const { answers, arrivals, background, backgroundRedis, batches, blobs, counting, grpc, service, webhooks } =
      this.#parts;
    await waitFor(this.#context, async () => ((await this.#parts.redis.ping()) ? undefined : REDIS_AWAY));
    if (blobs) await waitFor(this.#context, () => blobs.problem('write'));
    if (lifecycle.state !== 'warming') return;
    await answers.start();
    batches.start();
    const calling = webhooks?.start((jobId) => endedJob(service, jobId));
    const { kubernetesUrl } = config;
    const marking = kubernetesUrl
      ? markBusyPods({ url: kubernetesUrl, workers: (stage) => background.workers(stage), logger })
      : undefined;
    const sweeping = blobs && startPictureSweep(backgroundRedis, blobs, { keepMs: config.pictureKeepMs });
    const started = [background.startSweeper(), counting.start(), arrivals.start(), calling, marking, sweeping];
    this.#periodic = started.filter((one) => one !== undefined);
    this.grpcPort = await grpc.start(config.host, config.grpcPort);
    logger.info({ port: this.grpcPort }, 'listening for gRPC');
  }

  /** Watchers go at once, gRPC calls that wait for an answer have most of `graceMs`; the rest is for HTTP and for closing. */
  async stop(graceMs: number): Promise<void> {
    this.#parts.service.stopWatching();
    const stopping = this.#parts.batches.stop();
    await this.#parts.grpc.close(graceMs * DRAIN_SHARE);
    await stopping;
  }

  async closed(): Promise<void> {
    const { access, answers, background, blobs, certificates, backgroundRedis, jobs, redis, renderer } = this.#parts;
    blobs?.close();
    await Promise.all([...this.#periodic.map((one) => one.stop()), access.close(), certificates?.stop()]);
    await answers.close({ graceMs: 1_000 });
    await Promise.all([background.close(), jobs.close(), renderer.close()]);
    backgroundRedis.close();
    redis.close();
  }
}

function openCertificates(
  { tlsCertFile: certFile, tlsKeyFile: keyFile, tlsClientCaFile: caFile }: GatewayConfig,
  logger: ServiceContext['logger'],
): Promise<Certificates> | undefined {
  const files = tlsFilesOf('SEGUE_TLS', { certFile, keyFile });
  if (!files && caFile !== '') {
    throw new SegueError(
      'INVALID_ARGUMENT',
      'SEGUE_TLS_CLIENT_CA_FILE asks clients for certificates: set SEGUE_TLS_CERT_FILE and SEGUE_TLS_KEY_FILE too.',
    );
  }
  const onError = (error: unknown): void =>
    logger.error({ err: error }, 'the certificate was changed but cannot be used: the old one holds');
  return files && followCertificates({ ...files, ...(caFile !== '' && { caFile }) }, { onError });
}
