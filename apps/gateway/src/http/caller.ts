import { SegueError } from '@segue/core';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Caller } from '../segmentation/segmentation.service.js';
import { spell } from './options.js';

/** The client at the other end of an HTTP reply: gone when its connection closes before the reply has ended. */
export function callerOf(reply: FastifyReply): Caller {
  const controller = new AbortController();
  reply.raw.once('close', () => {
    if (!reply.raw.writableEnded) controller.abort(new SegueError('CANCELLED', 'The client closed the connection.'));
  });
  return {
    signal: controller.signal,
    deadlineAtMs: Infinity,
    requestId: reply.request.id,
    tenant: reply.request.tenant,
    spell,
  };
}

/** Whose files and batches a request may see. */
export function tenantOf({ tenant }: FastifyRequest): string {
  return tenant.name;
}
