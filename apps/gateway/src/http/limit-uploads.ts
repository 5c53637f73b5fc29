import { PUBLIC_TENANT, type Tenant } from '@segue/core';
import type { FastifyInstance } from 'fastify';
import type { Uploads } from '../uploads.js';

/** Whoever asks at an address that wants no key. */
const NOBODY: Tenant = { name: PUBLIC_TENANT, limits: {} };

/**
 * Refuses bodies for which there is no room before they are read. One that does not say how long it is counts as the longest
 * that is taken.
 */
export function limitUploads(fastify: FastifyInstance, uploads: Uploads, bodyLimit: number): void {
  fastify.addHook('onRequest', async ({ method, headers, tenant }, reply) => {
    if (method !== 'POST') return;
    const upload = uploads.open(tenant ?? NOBODY);
    upload.add(Math.min(Number(headers['content-length'] ?? bodyLimit), bodyLimit));
    reply.raw.once('close', () => upload.close());
  });
}
