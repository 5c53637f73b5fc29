import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import multipart from '@fastify/multipart';
import fastifyStatic from '@fastify/static';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { SwaggerModule } from '@nestjs/swagger';
import { REQUEST_ID, requestIdOf, SegueError } from '@segue/core';
import type { ServiceContext } from '@segue/service';
import type { FastifyInstance, FastifyServerOptions } from 'fastify';
import type { GatewayConfig } from '../config.js';
import type { GatewayMetrics } from '../metrics/gateway-metrics.js';
import { openApiDocument } from './openapi.js';

/** Room for the other options beside the picture. */
const OPTIONS_BYTES = 256 * 1024;

const PAGE = fileURLToPath(new URL('../../public', import.meta.url));
const EXAMPLES = fileURLToPath(new URL('../../../../examples', import.meta.url));

/** The page's own files and this server, and nothing else; pictures come from the page itself. */
const CONTENT_SECURITY_POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' blob: data:",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'self'",
  "frame-ancestors 'none'",
].join('; ');
/** The page of the API description sets styles from its script. */
const DOCS_CONTENT_SECURITY_POLICY = CONTENT_SECURITY_POLICY.replace(
  "style-src 'self'",
  "style-src 'self' 'unsafe-inline'",
);

export function fastifyOptions({ maxPictureBytes }: GatewayConfig): FastifyServerOptions {
  return {
    // Base64 takes four bytes for three.
    bodyLimit: Math.ceil((maxPictureBytes * 4) / 3) + OPTIONS_BYTES,
    requestIdHeader: false,
    genReqId: ({ headers }) => requestIdOf(headers[REQUEST_ID]),
    requestTimeout: 60_000,
  };
}

/** Completes the HTTP server: forms, headers, metrics, the page, and the API's description. */
export async function configureHttp(
  app: NestFastifyApplication,
  { config, logger, lifecycle }: ServiceContext<GatewayConfig>,
  metrics: GatewayMetrics,
): Promise<void> {
  const fastify = app.getHttpAdapter().getInstance() as unknown as FastifyInstance;

  fastify.addHook('onRequest', async (request, reply) => {
    const docs = request.url.startsWith('/docs');
    void reply.headers({
      [REQUEST_ID]: request.id,
      'x-content-type-options': 'nosniff',
      'referrer-policy': 'no-referrer',
      'content-security-policy': docs ? DOCS_CONTENT_SECURITY_POLICY : CONTENT_SECURITY_POLICY,
    });
  });
  fastify.addHook('onRequest', async ({ url }) => {
    // Before Redis has been there once, its clients would wait for it instead of failing.
    if (url.startsWith('/v1/') && lifecycle.state === 'warming') {
      throw new SegueError('UNAVAILABLE', 'This server is starting. Try again in a second.', { retryAfterMs: 1_000 });
    }
  });
  fastify.addHook('onResponse', async (request, reply) => {
    const { method, id } = request;
    const route = request.routeOptions.url ?? 'unknown';
    metrics.httpRequest(method, route, reply.statusCode, reply.elapsedTime / 1000);
    const level = route.startsWith('/v1/') ? 'info' : 'debug';
    logger[level](
      { requestId: id, method, route, status: reply.statusCode, ms: Math.round(reply.elapsedTime) },
      'answered',
    );
  });

  fastify.removeContentTypeParser('text/plain');
  await fastify.register(multipart, {
    limits: { fileSize: config.maxPictureBytes, files: 1, fields: 20, fieldSize: OPTIONS_BYTES, fieldNameSize: 100 },
  });
  await fastify.register(fastifyStatic, { root: PAGE, wildcard: false });
  if (existsSync(EXAMPLES)) {
    await fastify.register(fastifyStatic, {
      root: EXAMPLES,
      prefix: '/examples/',
      decorateReply: false,
      wildcard: false,
    });
  }

  const document = openApiDocument(app, '1.0.0');
  SwaggerModule.setup('docs', app, document, { jsonDocumentUrl: 'openapi.json', customSiteTitle: 'Segue API' });
}
