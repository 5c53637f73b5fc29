import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { digestOfKey } from '../access/api-key.js';
import { refusalText, PROBLEM_TYPE } from '../http/problem.js';

/** Routes for who has the operators' key: everything else at the admin port only tells numbers. */
const KEYED = /^\/(queues|stages|dead-letters)(\/|$)/;

/**
 * Asks for the operators' key: as a bearer, or, of a browser, as the password of HTTP's basic authentication. A browser sends that
 * by itself wherever a page leads it, so that it opens what is read and nothing else.
 */
export function requireOperatorsKey(fastify: FastifyInstance, key: string): void {
  const digest = digestOfKey(key);
  fastify.addHook('onRequest', async (request, reply) => {
    if (!KEYED.test(request.routeOptions.url ?? '')) return;
    const shown = keyOf(request);
    if (shown !== undefined && digestOfKey(shown) === digest) return;
    await refuse(reply);
  });
}

function keyOf({ method, headers: { authorization = '' } }: FastifyRequest): string | undefined {
  const bearer = /^Bearer +(\S+)$/i.exec(authorization)?.[1];
  if (bearer !== undefined || method !== 'GET') return bearer;
  const basic = /^Basic +(\S+)$/i.exec(authorization)?.[1];
  const credentials = basic && Buffer.from(basic, 'base64').toString();
  return credentials?.slice(credentials.indexOf(':') + 1);
}

function refuse(reply: FastifyReply): FastifyReply {
  return reply
    .status(401)
    .header('www-authenticate', 'Basic realm="Segue", charset="UTF-8"')
    .type(PROBLEM_TYPE)
    .send(refusalText(401));
}
