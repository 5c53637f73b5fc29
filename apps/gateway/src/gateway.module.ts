import { Module, type DynamicModule } from '@nestjs/common';
import { APP_FILTER } from '@nestjs/core';
import { ImagesController } from './http/images.controller.js';
import { JobsController } from './http/jobs.controller.js';
import { UsageController } from './usage/usage.controller.js';
import { UsageReader } from './usage/usage-reader.js';
import { ModelsController } from './http/models.controller.js';
import { ProblemFilter } from './http/problem.js';
import { SegmentController } from './http/segment.controller.js';
import { CvatController } from './annotation/cvat.controller.js';
import { LabelStudioController } from './annotation/label-studio.controller.js';
import { LabelStudioFiles } from './annotation/label-studio-files.js';
import { BatchStore } from '@segue/batches';
import { BatchesController } from './batches/batches.controller.js';
import { ChatController } from './openai/chat.controller.js';
import { InferenceController } from './inference/inference.controller.js';
import { Infer } from './inference/infer.js';
import { ModelCatalogue } from './models/model-catalogue.js';
import { SegmentationService } from './segmentation/segmentation.service.js';

/** What the controllers ask for in their constructors. */
export interface ControllerNeeds {
  readonly service: SegmentationService;
  readonly catalogue: ModelCatalogue;
  readonly problems: ProblemFilter;
  readonly infer: Infer;
  readonly batches: BatchStore;
  readonly usage: UsageReader;
  readonly labelStudioFiles: LabelStudioFiles;
}

/** The HTTP controllers over objects that are made elsewhere: Nest routes requests, it does not build the gateway. */
@Module({
  controllers: [
    SegmentController,
    JobsController,
    ImagesController,
    ModelsController,
    ChatController,
    InferenceController,
    LabelStudioController,
    CvatController,
    BatchesController,
    UsageController,
  ],
})
export class GatewayModule {
  static over({
    usage,
    service,
    catalogue,
    infer,
    batches,
    labelStudioFiles,
    problems,
  }: ControllerNeeds): DynamicModule {
    return {
      module: GatewayModule,
      providers: [
        { provide: APP_FILTER, useValue: problems },
        { provide: LabelStudioFiles, useValue: labelStudioFiles },
        { provide: BatchStore, useValue: batches },
        { provide: UsageReader, useValue: usage },
        { provide: Infer, useValue: infer },
        { provide: SegmentationService, useValue: service },
        { provide: ModelCatalogue, useValue: catalogue },
      ],
    };
  }
}
