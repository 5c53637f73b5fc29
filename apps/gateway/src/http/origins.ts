import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { REQUEST_ID, SegueError } from '@segue/core';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { GatewayConfig } from '../config.js';

const SAFE_METHODS: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS']);
const ANY = '*';

/**
 * Who may call from a browser. Pages of other origins may read answers where `corsOrigins` names them (CORS); no other page
 * can make a browser post a form here, which needs no permission of CORS. With `allowedHosts`, requests that were sent to
 * another name are refused: a name that an attacker points at this address (DNS rebinding) is such a one.
 */
export function guardOrigins(app: NestFastifyApplication, { corsOrigins, allowedHosts }: GatewayConfig): void {
  const fastify = app.getHttpAdapter().getInstance() as unknown as FastifyInstance;
  fastify.addHook('onRequest', async (request) => {
    const operations = /^\/(healthz|metrics)\b/.test(request.url);
    if (allowedHosts.length > 0 && !operations && !allowedHosts.includes(hostName(request.headers.host))) {
      throw new SegueError(
        'PERMISSION_DENIED',
        'This server does not answer to the name that the request was sent to.',
      );
    }
    if (SAFE_METHODS.has(request.method) || isFromHere(request)) return;
    if (corsOrigins.includes(ANY) || corsOrigins.includes(request.headers.origin ?? '')) return;
    throw new SegueError(
      'PERMISSION_DENIED',
      'Pages of this origin may not use this service. Its operator can allow them with SEGUE_CORS_ORIGINS.',
    );
  });
  if (corsOrigins.length === 0) return;
  app.enableCors({
    origin: corsOrigins.includes(ANY) ? ANY : [...corsOrigins],
    methods: ['GET', 'POST', 'DELETE'],
    allowedHeaders: ['authorization', 'content-type', 'accept', 'idempotency-key', 'last-event-id', REQUEST_ID],
    exposedHeaders: ['location', 'retry-after', REQUEST_ID],
    maxAge: 600,
    strictPreflight: false,
  } as Parameters<NestFastifyApplication['enableCors']>[0]);
}

/** Whether a program sent it, or a page of this server's own; a proxy may have put another name into Host. */
function isFromHere({ headers }: FastifyRequest): boolean {
  const { origin, host } = headers;
  const site = headers['sec-fetch-site'];
  if (site === 'same-origin' || site === 'none') return true;
  if (origin === undefined) return site === undefined;
  const names = [host, headers['x-forwarded-host']];
  return URL.canParse(origin) && names.includes(new URL(origin).host);
}

function hostName(host = ''): string {
  return host.replace(/:\d+$/, '').toLowerCase();
}
