import { Module } from '@nestjs/common';
import { APP_FILTER } from '@nestjs/core';
import { openJobs, type Jobs } from '@segue/jobs';
import { CONFIG, Lifecycle, LOGGER, Registry, type Logger } from '@segue/service';
import type { GatewayConfig } from './config.js';
import { Gateway, jobsOptions } from './gateway.js';
import { GrpcEdge } from './grpc/grpc-edge.js';
import { ImagesController } from './http/images.controller.js';
import { JobsController } from './http/jobs.controller.js';
import { ModelsController } from './http/models.controller.js';
import { ProblemFilter } from './http/problem.js';
import { SegmentController } from './http/segment.controller.js';
import { GatewayMetrics } from './metrics/gateway-metrics.js';
import { JobMetrics } from './metrics/job-metrics.js';
import { ModelCatalogue } from './models/model-catalogue.js';
import { Intake } from './segmentation/intake.js';
import { SegmentationService } from './segmentation/segmentation.service.js';

/** Injection token of the requests' connections to Redis. */
const JOBS = Symbol('Jobs');

@Module({
  controllers: [SegmentController, JobsController, ImagesController, ModelsController],
  providers: [
    { provide: APP_FILTER, useClass: ProblemFilter },
    {
      provide: JOBS,
      inject: [CONFIG, LOGGER],
      useFactory: (config: GatewayConfig, logger: Logger) =>
        openJobs({ ...jobsOptions(config, logger), role: 'producer' }),
    },
    {
      provide: ModelCatalogue,
      inject: [CONFIG],
      useFactory: (config: GatewayConfig) => ModelCatalogue.load(config.modelsDir, config.model),
    },
    {
      provide: SegmentationService,
      inject: [CONFIG, JOBS, ModelCatalogue, LOGGER],
      useFactory: (config: GatewayConfig, jobs: Jobs, catalogue: ModelCatalogue, logger: Logger) =>
        new SegmentationService(jobs, new Intake(config, jobs, catalogue), logger),
    },
    {
      provide: GatewayMetrics,
      inject: [Registry, JOBS, LOGGER],
      useFactory: (registry: Registry, jobs: Jobs, logger: Logger) => new GatewayMetrics(registry, jobs, logger),
    },
    {
      provide: JobMetrics,
      inject: [Registry, JOBS, LOGGER],
      useFactory: (registry: Registry, jobs: Jobs, logger: Logger) => new JobMetrics(registry, jobs, logger),
    },
    {
      provide: GrpcEdge,
      inject: [CONFIG, SegmentationService, ModelCatalogue, GatewayMetrics, LOGGER],
      useFactory: (
        config: GatewayConfig,
        service: SegmentationService,
        catalogue: ModelCatalogue,
        metrics: GatewayMetrics,
        logger: Logger,
      ) => new GrpcEdge(service, catalogue, { maxPictureBytes: config.maxPictureBytes, metrics, logger }),
    },
    {
      provide: Gateway,
      inject: [CONFIG, LOGGER, Lifecycle, JOBS, SegmentationService, GrpcEdge, JobMetrics],
      useFactory: (...parts: ConstructorParameters<typeof Gateway>) => new Gateway(...parts),
    },
  ],
})
export class GatewayModule {}
