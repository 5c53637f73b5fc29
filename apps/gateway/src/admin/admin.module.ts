import { Module, type DynamicModule } from '@nestjs/common';
import { APP_FILTER } from '@nestjs/core';
import { Jobs } from '@segue/jobs';
import { ProblemFilter } from '../http/problem.js';
import { LoadController } from './load.controller.js';
import { LoadReader } from './load-reader.js';
import { StagesController } from './stages.controller.js';

/** What operators and autoscalers reach at the admin port, beside health and metrics. */
@Module({ controllers: [LoadController] })
export class AdminModule {
  /** @param jobs of the stages that operators may hold; none where operators have no key. */
  static over(loads: LoadReader, problems: ProblemFilter, jobs: Jobs | undefined): DynamicModule {
    return {
      module: AdminModule,
      controllers: jobs ? [StagesController] : [],
      providers: [
        { provide: APP_FILTER, useValue: problems },
        { provide: LoadReader, useValue: loads },
        ...(jobs ? [{ provide: Jobs, useValue: jobs }] : []),
      ],
    };
  }
}
