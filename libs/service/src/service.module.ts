import { Module, type DynamicModule, type ModuleMetadata } from '@nestjs/common';
import { Registry } from 'prom-client';
import { HealthController } from './health.controller.js';
import { Lifecycle } from './lifecycle.js';
import { LOGGER, type Logger } from './logging.js';

/** Injection token of the app's configuration, as its `readConfig` returned it. */
export const CONFIG = Symbol('Config');

export interface ServiceContext<C = unknown> {
  readonly config: C;
  readonly logger: Logger;
  readonly lifecycle: Lifecycle;
  readonly metrics: Registry;
}

/** What every app can inject (`CONFIG`, `LOGGER`, `Lifecycle`, `Registry`), and the health and metrics endpoints. */
@Module({ controllers: [HealthController] })
export class ServiceModule {
  static with(context: ServiceContext, app: NonNullable<ModuleMetadata['imports']>[number]): DynamicModule {
    const providers = [
      { provide: CONFIG, useValue: context.config },
      { provide: LOGGER, useValue: context.logger },
      { provide: Lifecycle, useValue: context.lifecycle },
      { provide: Registry, useValue: context.metrics },
    ];
    return { module: ServiceModule, global: true, imports: [app], providers, exports: providers };
  }
}
