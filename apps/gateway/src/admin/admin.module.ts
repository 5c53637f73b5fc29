import { Module, type DynamicModule } from '@nestjs/common';
import { APP_FILTER } from '@nestjs/core';
import { Jobs } from '@segue/jobs';
import { ProblemFilter } from '../http/problem.js';
import { DeadLettersController } from './dead-letters.controller.js';
import { LoadController } from './load.controller.js';
import { LoadReader } from './load-reader.js';
import { UsageReader } from '../usage/usage-reader.js';
import { TenantsUsageController } from '../usage/tenants-usage.controller.js';
import { StagesController } from './stages.controller.js';

/** What operators and autoscalers reach at the admin port, beside health and metrics. */
@Module({ controllers: [LoadController, TenantsUsageController] })
export class AdminModule {
  /** @param usage of all tenants. @param jobs whose stages operators may hold and whose dead letters they see; none where they have no key. */
  static over(loads: LoadReader, usage: UsageReader, problems: ProblemFilter, jobs: Jobs | undefined): DynamicModule {
    return {
      module: AdminModule,
      controllers: jobs ? [DeadLettersController, StagesController] : [],
      providers: [
        { provide: APP_FILTER, useValue: problems },
        { provide: LoadReader, useValue: loads },
        { provide: UsageReader, useValue: usage },
        ...(jobs ? [{ provide: Jobs, useValue: jobs }] : []),
      ],
    };
  }
}
