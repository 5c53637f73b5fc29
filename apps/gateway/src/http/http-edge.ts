import type { Server as TlsServer } from 'node:tls';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { SwaggerModule } from '@nestjs/swagger';
import { REQUEST_ID, requestIdOf, SegueError } from '@segue/core';
import type { ServiceContext } from '@segue/service';
import type { Certificates } from '@segue/tls';
import type { FastifyInstance, FastifyServerOptions } from 'fastify';
import type { Access } from '../access/access.js';
import { requireKeys } from '../access/http-access.js';
import type { GatewayConfig } from '../config.js';
import type { GatewayMetrics } from '../metrics/gateway-metrics.js';
import type { Uploads } from '../uploads.js';
import { COMMON_HEADERS, frameworkErrors } from './framework-errors.js';
import { MAX_OPTIONS_BYTES } from './json-limits.js';
import { limitUploads } from './limit-uploads.js';
import { refuseOtherMethods } from './methods.js';
import { openApiDocument } from './openapi.js';
import { guardOrigins } from './origins.js';
import { addBodyParsers } from './request-body.js';
import { serveStaticFiles } from './static-files.js';
import { traceRequests } from './trace-requests.js';

const CLIENT_GONE = 499;
/** How often Node looks for requests that take too long to arrive. */
const CHECK_CONNECTIONS_EVERY_MS = 10_000;
const HEADERS_TIMEOUT_MS = 30_000;

/** The page's own files and this server, and nothing else; pictures come from the page itself. */
const CONTENT_SECURITY_POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "worker-src 'self'",
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

export function fastifyOptions(config: GatewayConfig, certificates: Certificates | undefined): FastifyServerOptions {
  const { uploadTimeoutMs } = config;
  const server = {
    // Node takes the longer of its two limits for the whole request.
    headersTimeout: Math.min(HEADERS_TIMEOUT_MS, uploadTimeoutMs),
    connectionsCheckingInterval: Math.min(CHECK_CONNECTIONS_EVERY_MS, uploadTimeoutMs),
  };
  return {
    // With an authority for clients, a connection without a certificate of it ends before there is a request.
    ...(certificates
      ? { https: { ...certificates.current, ...server, requestCert: certificates.current.ca !== undefined } }
      : { http: server }),
    ...frameworkErrors,
    bodyLimit: bodyLimitOf(config),
    requestIdHeader: false,
    genReqId: ({ headers }) => requestIdOf(headers[REQUEST_ID]),
    requestTimeout: uploadTimeoutMs,
    // A machine that is busy starting other things is no reason to give up.
    pluginTimeout: 0,
    // Requests that come on an open connection while this server stops are answered as usual, and the connection closed.
    return503OnClosing: false,
  };
}

/** Base64 takes four bytes for three; a form's other bytes are few. */
function bodyLimitOf({ maxPictureBytes }: GatewayConfig): number {
  return Math.ceil((maxPictureBytes * 4) / 3) + MAX_OPTIONS_BYTES;
}

export interface HttpParts {
  readonly access: Access;
  readonly certificates: Certificates | undefined;
  readonly metrics: GatewayMetrics;
  readonly uploads: Uploads;
}

/** Completes the public HTTP server: who may call, bodies, headers, metrics of its requests, and the page. */
export async function configureHttp(
  app: NestFastifyApplication,
  { config, logger, lifecycle }: ServiceContext<GatewayConfig>,
  { access, certificates, metrics, uploads }: HttpParts,
): Promise<void> {
  const fastify = app.getHttpAdapter().getInstance() as unknown as FastifyInstance;
  fastify.server.maxConnections = config.maxConnections;
  certificates?.onChange((pem) => (fastify.server as unknown as TlsServer).setSecureContext(pem));

  fastify.addHook('onRequest', async (request, reply) => {
    const docs = request.url.startsWith('/docs');
    void reply.headers({
      ...COMMON_HEADERS,
      [REQUEST_ID]: request.id,
      'content-security-policy': docs ? DOCS_CONTENT_SECURITY_POLICY : CONTENT_SECURITY_POLICY,
    });
  });
  fastify.addHook('onRequest', async ({ routeOptions: { url } }) => {
    // Before Redis has been there once, its clients would wait for it instead of failing.
    if (url && /^\/v[12]\//.test(url) && lifecycle.state === 'warming') {
      throw new SegueError('UNAVAILABLE', 'This server is starting. Try again in a second.', { retryAfterMs: 1_000 });
    }
  });
  fastify.addHook('onRequest', async (request, reply) => {
    // `onResponse` is not called where the client has gone.
    reply.raw.once('close', () => {
      const { method, id } = request;
      const { writableFinished, headersSent, statusCode } = reply.raw;
      const status = writableFinished || headersSent ? statusCode : CLIENT_GONE;
      const route = request.routeOptions.url ?? 'unknown';
      metrics.httpRequest(method, route, status, reply.elapsedTime / 1000);
      const level = route.startsWith('/v1/') ? 'info' : 'debug';
      logger[level]({ requestId: id, method, route, status, ms: Math.round(reply.elapsedTime) }, 'answered');
    });
  });

  if (config.tracesUrl) traceRequests(fastify);
  guardOrigins(app, config);
  requireKeys(fastify, access);
  refuseOtherMethods(fastify);
  limitUploads(fastify, uploads, bodyLimitOf(config));
  addBodyParsers(fastify);
  await serveStaticFiles(fastify);
}

/** Puts the description of the API at /docs and /openapi.json. @param at the application that serves it. */
export function describeApi(app: NestFastifyApplication, at: NestFastifyApplication): void {
  SwaggerModule.setup('docs', at, openApiDocument(app), {
    jsonDocumentUrl: 'openapi.json',
    customSiteTitle: 'Segue API',
  });
}
