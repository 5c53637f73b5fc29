import type { ServiceOptions } from '@segue/service';
import type { GatewayConfig } from './config.js';
import { Gateway } from './gateway.js';
import { GatewayModule } from './gateway.module.js';
import { configureHttp, fastifyOptions } from './http/http-edge.js';

/** The gateway as `runService` runs it. */
export function gatewayService(config: GatewayConfig): ServiceOptions {
  return {
    name: 'gateway',
    module: GatewayModule,
    fastify: fastifyOptions(config),
    configure: (app) => configureHttp(app, config),
    start: (app) => app.get(Gateway).start(),
    stop: (app, graceMs) => app.get(Gateway).stop(graceMs),
  };
}
