import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import type { WorkerInfo } from '@segue/jobs';
import { expect, it } from 'vitest';
import { markBusyPods } from './busy-pods.js';

const WAIT = { timeout: 20_000 };

it('tells Kubernetes of each pod when it becomes busy and when it is idle again, and goes on after a failure', async () => {
  const account = await mkdtemp(join(tmpdir(), 'segue-account-'));
  await writeFile(join(account, 'token'), 'a-token\n');
  await writeFile(join(account, 'namespace'), 'segue');
  const refused: string[] = [];
  const taken: string[] = [];
  let status = 500;
  const server = createServer((request, response) => {
    void text(request).then((body) => {
      const { annotations } = (JSON.parse(body) as { metadata: { annotations: Record<string, string> } }).metadata;
      const pod = request.url?.split('/').at(-1);
      (status === 200 ? taken : refused).push(
        `${request.method} ${pod} ${Object.values(annotations).join()} ${request.headers.authorization}`,
      );
      response.writeHead(status).end();
    });
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const worker = (pod: string, active: number): WorkerInfo => {
    return { id: `${pod}/7`, stage: 'encode', model: '', concurrency: 4, active };
  };
  let here = [worker('encoder-a', 2), worker('encoder-b', 0)];
  const warnings: unknown[] = [];
  const marking = markBusyPods({
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    workers: async (stage) => (stage === 'encode' ? here : []),
    logger: { warn: (problem: unknown) => warnings.push(problem) } as never,
    account,
    everyMs: 20,
  });
  try {
    const busy = 'PATCH encoder-a 1 Bearer a-token';
    await expect.poll(() => warnings.length, WAIT).toBeGreaterThan(0);
    expect(new Set(refused)).toEqual(new Set([busy]));
    status = 200;
    await expect.poll(() => taken, WAIT).toEqual([busy]);
    here = [worker('encoder-a', 0), worker('encoder-b', 0)];
    await expect.poll(() => taken, WAIT).toEqual([busy, 'PATCH encoder-a 0 Bearer a-token']);
  } finally {
    await marking.stop();
    server.close();
    await rm(account, { recursive: true });
  }
});
