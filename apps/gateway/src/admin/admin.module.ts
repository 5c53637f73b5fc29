import { Module, type DynamicModule } from '@nestjs/common';
import { APP_FILTER } from '@nestjs/core';
import { ProblemFilter } from '../http/problem.js';
import { LoadController } from './load.controller.js';
import { LoadReader } from './load-reader.js';

/** What operators and autoscalers reach at the admin port, beside health and metrics. */
@Module({ controllers: [LoadController] })
export class AdminModule {
  static over(loads: LoadReader, problems: ProblemFilter): DynamicModule {
    return {
      module: AdminModule,
      providers: [
        { provide: APP_FILTER, useValue: problems },
        { provide: LoadReader, useValue: loads },
      ],
    };
  }
}
