import { SegueError } from '@segue/core';
import type { FastifyInstance } from 'fastify';

const RETRY_AFTER_MS = 1_000;

/**
 * Bounds the bytes of bodies that are held at the same time, from their arrival until their answer has been sent: what is
 * more is refused before it is read. A body that does not say how long it is counts as the longest that is taken.
 */
export function limitUploads(
  fastify: FastifyInstance,
  { maxBytes, bodyLimit }: { readonly maxBytes: number; readonly bodyLimit: number },
): void {
  let held = 0;
  fastify.addHook('onRequest', async ({ method, headers }, reply) => {
    if (method !== 'POST') return;
    const length = Number(headers['content-length'] ?? bodyLimit);
    const bytes = Math.min(length, bodyLimit);
    // A single body is always taken, so that no setting makes the service useless.
    if (held > 0 && held + bytes > maxBytes) {
      throw new SegueError(
        'RESOURCE_EXHAUSTED',
        'Too many pictures are being sent at the moment. Try again in a second.',
        {
          retryAfterMs: RETRY_AFTER_MS,
        },
      );
    }
    held += bytes;
    reply.raw.once('close', () => (held -= bytes));
  });
}
