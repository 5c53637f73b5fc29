import type { DynamicModule } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import type { FastifyServerOptions } from 'fastify';
import type { Lifecycle } from './lifecycle.js';
import { NestLogger, type Logger } from './logging.js';

/** An HTTP application of a service; it does not listen yet. */
export async function createHttp(
  module: DynamicModule,
  { lifecycle, logger }: { readonly lifecycle: Lifecycle; readonly logger: Logger },
  fastify?: FastifyServerOptions,
): Promise<NestFastifyApplication> {
  const app = await NestFactory.create<NestFastifyApplication>(
    module,
    new FastifyAdapter(fastify),
    // Fastify's own JSON parser is enough; Nest would add one for forms in URL encoding.
    { logger: new NestLogger(logger), abortOnError: false, bodyParser: false },
  );
  // A kept-alive connection would outlive its last answer and hold up the end.
  app
    .getHttpAdapter()
    .getInstance()
    .addHook('onSend', async (_request, reply) => {
      if (lifecycle.state === 'draining') void reply.header('connection', 'close');
    });
  return app;
}
