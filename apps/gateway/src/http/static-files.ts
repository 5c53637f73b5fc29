import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import fastifyStatic from '@fastify/static';
import type { FastifyInstance } from 'fastify';

/** Where the build of libs/page puts the page. */
const PAGE = fileURLToPath(new URL('../../public', import.meta.url));
const EXAMPLES = fileURLToPath(new URL('../../../../examples', import.meta.url));

/** Serves the page and the example photos, where they are there: the API needs neither. */
export async function serveStaticFiles(fastify: FastifyInstance): Promise<void> {
  if (existsSync(PAGE)) {
    await fastify.register(fastifyStatic, {
      root: PAGE,
      wildcard: false,
      cacheControl: false,
      setHeaders: (reply, path) => void reply.header('cache-control', cacheControlOf(path)),
    });
  }
  if (existsSync(EXAMPLES)) {
    await fastify.register(fastifyStatic, {
      root: EXAMPLES,
      prefix: '/examples/',
      decorateReply: false,
      wildcard: false,
    });
  }
}

/** Names of built files hold a hash of what is in them. */
function cacheControlOf(path: string): string {
  return path.startsWith(join(PAGE, 'assets')) ? 'public, max-age=31536000, immutable' : 'no-cache';
}
