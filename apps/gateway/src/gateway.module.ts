import { Module, type DynamicModule } from '@nestjs/common';
import { APP_FILTER } from '@nestjs/core';
import { ImagesController } from './http/images.controller.js';
import { JobsController } from './http/jobs.controller.js';
import { ModelsController } from './http/models.controller.js';
import { ProblemFilter } from './http/problem.js';
import { SegmentController } from './http/segment.controller.js';
import { ModelCatalogue } from './models/model-catalogue.js';
import { SegmentationService } from './segmentation/segmentation.service.js';

/** What the controllers ask for in their constructors. */
export interface ControllerNeeds {
  readonly service: SegmentationService;
  readonly catalogue: ModelCatalogue;
  readonly problems: ProblemFilter;
}

/** The HTTP controllers over objects that are made elsewhere: Nest routes requests, it does not build the gateway. */
@Module({ controllers: [SegmentController, JobsController, ImagesController, ModelsController] })
export class GatewayModule {
  static over({ service, catalogue, problems }: ControllerNeeds): DynamicModule {
    return {
      module: GatewayModule,
      providers: [
        { provide: APP_FILTER, useValue: problems },
        { provide: SegmentationService, useValue: service },
        { provide: ModelCatalogue, useValue: catalogue },
      ],
    };
  }
}
