import type { Tenant } from '@segue/core';
import type { FastifyInstance } from 'fastify';
import type { Access } from './access.js';

declare module 'fastify' {
  interface FastifyRequest {
    /** Who asks; set for all routes of the API. */
    tenant: Tenant;
  }
}

/** Routes that want to know who asks: all but health and the page's files. */
const KEYED = /^\/(v[12]|cvat|label-studio)(\/|$)/;

/** Asks everybody who uses the API over HTTP for a key, before anything of the body is read. */
export function requireKeys(fastify: FastifyInstance, access: Access): void {
  fastify.decorateRequest('tenant', null as never);
  fastify.addHook('onRequest', async (request) => {
    // By the route and not by the address, which can be written in many ways.
    if (KEYED.test(request.routeOptions.url ?? '') && request.method !== 'OPTIONS') {
      request.tenant = access.identify(request.headers.authorization);
    }
  });
}
