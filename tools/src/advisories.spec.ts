import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, it } from 'vitest';
import { knownAdvisories } from './advisories.js';

/** What npm finds at a registry that answers so. */
async function askedAt(answer: RequestListener): Promise<string[] | undefined> {
  const server = createServer(answer).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  try {
    return await knownAdvisories(`--registry=http://127.0.0.1:${port}`, '--fetch-retries=0');
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

const advisory = (id: number, severity: string) => {
  return { id, severity, title: 'x', url: `https://example.com/${id}`, vulnerable_versions: '>=0.0.0' };
};

it('tells advisories of high severity, and no lesser ones', { timeout: 120_000 }, async () => {
  const found = await askedAt((request, response) => {
    request.resume();
    if (request.method === 'POST')
      response.end(JSON.stringify({ fastify: [advisory(1, 'high')], sharp: [advisory(2, 'moderate')] }));
    else response.writeHead(404).end('{}');
  });
  expect(found).toContainEqual(expect.stringMatching(/^fastify .*: high$/));
  expect(found?.join()).not.toContain('sharp');
});

it('finds nothing where nothing is known', { timeout: 120_000 }, async () => {
  expect(await askedAt((request, response) => void (request.resume(), response.end('{}')))).toEqual([]);
});

it('knows where a registry does not say', { timeout: 120_000 }, async () => {
  expect(await askedAt((_, response) => void response.writeHead(405).end())).toBeUndefined();
});
