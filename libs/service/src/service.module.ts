import { Module, type DynamicModule, type Type } from '@nestjs/common';
import { Registry } from 'prom-client';
import { HealthController } from './health.controller.js';
import { Lifecycle } from './lifecycle.js';

/** The endpoints that every app has, health and metrics, beside the app's own. */
@Module({ controllers: [HealthController] })
export class ServiceModule {
  static with(lifecycle: Lifecycle, metrics: Registry, app?: DynamicModule | Type): DynamicModule {
    return {
      module: ServiceModule,
      imports: app ? [app] : [],
      providers: [
        { provide: Lifecycle, useValue: lifecycle },
        { provide: Registry, useValue: metrics },
      ],
    };
  }
}
