import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import multipart from '@fastify/multipart';
import fastifyStatic from '@fastify/static';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { SwaggerModule } from '@nestjs/swagger';
import type { FastifyInstance, FastifyServerOptions } from 'fastify';
import type { GatewayConfig } from '../config.js';
import { GatewayMetrics } from '../metrics/gateway-metrics.js';
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
    requestIdHeader: 'x-request-id',
    requestTimeout: 60_000,
  };
}

/** Completes the HTTP server: forms, headers, metrics, the page, and the API's description. */
export async function configureHttp(app: NestFastifyApplication, { maxPictureBytes }: GatewayConfig): Promise<void> {
  const metrics = app.get(GatewayMetrics);
  const fastify = app.getHttpAdapter().getInstance() as unknown as FastifyInstance;

  fastify.addHook('onRequest', async (request, reply) => {
    const docs = request.url.startsWith('/docs');
    void reply.headers({
      'x-request-id': request.id,
      'x-content-type-options': 'nosniff',
      'referrer-policy': 'no-referrer',
      'content-security-policy': docs ? DOCS_CONTENT_SECURITY_POLICY : CONTENT_SECURITY_POLICY,
    });
  });
  fastify.addHook('onResponse', async (request, reply) => {
    const route = request.routeOptions.url ?? 'unknown';
    metrics.httpRequest(request.method, route, reply.statusCode, reply.elapsedTime / 1000);
  });

  fastify.removeContentTypeParser('text/plain');
  await fastify.register(multipart, {
    limits: { fileSize: maxPictureBytes, files: 1, fields: 20, fieldSize: OPTIONS_BYTES, fieldNameSize: 100 },
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
