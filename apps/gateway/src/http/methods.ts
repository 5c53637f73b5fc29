import { SegueError } from '@segue/core';
import type { FastifyInstance } from 'fastify';
import { HttpRefusal } from './problem.js';

/** Answers 405 with Allow (RFC 9110, section 15.5.6) where an address is known and its method is not. Call it before routes are added. */
export function refuseOtherMethods(fastify: FastifyInstance): void {
  const routes: { readonly pattern: RegExp; readonly methods: readonly string[] }[] = [];
  fastify.addHook('onRoute', ({ url, method }) => {
    routes.push({ pattern: patternOf(url), methods: [method].flat() });
  });
  fastify.addHook('onRequest', async (request) => {
    if (!request.is404) return;
    const path = request.url.split('?', 1)[0] ?? '';
    const allowed = new Set(routes.filter(({ pattern }) => pattern.test(path)).flatMap(({ methods }) => methods));
    if (allowed.size === 0) return;
    const allow = [...allowed].sort().join(', ');
    throw new HttpRefusal(
      405,
      new SegueError('UNIMPLEMENTED', `This address does not take ${request.method}. Use ${allow}.`),
      { allow },
    );
  });
}

/** `/v1/jobs/:id` as an expression. */
function patternOf(route: string): RegExp {
  const pieces = route.split(/:\w+/).map((text) => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'));
  return new RegExp(`^${pieces.join('[^/]+')}$`);
}
