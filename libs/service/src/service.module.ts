import { Module, type DynamicModule, type Type } from '@nestjs/common';
import { Registry } from 'prom-client';
import { HealthController } from './health.controller.js';
import { Lifecycle } from './lifecycle.js';
import { MetricsController } from './metrics.controller.js';

export interface ServiceParts {
  readonly lifecycle: Lifecycle;
  /** Left out where whoever may call must not read them. */
  readonly metrics?: Registry;
  /** The app's own controllers. */
  readonly app?: DynamicModule | Type | undefined;
}

/** The endpoints that every app has, health and metrics, beside the app's own. */
@Module({ controllers: [HealthController] })
export class ServiceModule {
  static with({ lifecycle, metrics, app }: ServiceParts): DynamicModule {
    return {
      module: ServiceModule,
      imports: app ? [app] : [],
      controllers: metrics ? [MetricsController] : [],
      providers: [
        { provide: Lifecycle, useValue: lifecycle },
        ...(metrics ? [{ provide: Registry, useValue: metrics }] : []),
      ],
    };
  }
}
