import type { ServerResponse } from 'node:http';
import { connect, type AddressInfo, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { JobEvent } from '@segue/core';
import fastify, { type FastifyInstance } from 'fastify';
import { afterEach, expect, it } from 'vitest';
import { signal } from '../gateway.fixture.js';
import { sendEvents } from './event-stream.js';

let server: FastifyInstance;
let socket: Socket;
afterEach(async () => {
  socket.destroy();
  await server.close();
});

/** Serves these events with a ping in every silence of 20 ms. */
async function serve(events: (response: ServerResponse) => AsyncIterable<JobEvent>): Promise<Socket> {
  server = fastify();
  server.get('/', (_request, reply) =>
    sendEvents(reply, events(reply.raw), {
      encodeMask: (mask) => Promise.resolve({ format: 'rle', ...mask }),
      client: new AbortController().signal,
      pingEveryMs: 20,
    }),
  );
  await server.listen({ host: '127.0.0.1', port: 0 });
  socket = connect((server.server.address() as AddressInfo).port, '127.0.0.1');
  socket.write('GET / HTTP/1.1\r\nhost: segue\r\n\r\n');
  return socket;
}

async function read(from: Socket): Promise<string> {
  const parts: Buffer[] = [];
  for await (const part of from) parts.push(part as Buffer);
  return Buffer.concat(parts).toString();
}

const place = { jobId: 'j', atMs: 0 };
const text = (id: number, length: number): JobEvent => ({
  ...place,
  id: `${id}-0`,
  type: 'text',
  offset: 0,
  text: 'x'.repeat(length),
});

it('fills silence with pings', async () => {
  const stream = await serve(async function* () {
    yield text(1, 1);
    await sleep(200);
    yield { ...place, id: '2-0', type: 'cancelled' };
  });
  expect(await read(stream)).toMatch(/id: 1-0[^]*: ping\n\n[^]*: ping\n\n[^]*id: 2-0/);
});

it('gives a reader that stalled for many pings every event to the last, and no ping after it', async () => {
  const ended = signal();
  let id = 0;
  const stream = await serve(async function* (response) {
    // Until the buffers between the two ends are full, so that the last event waits in this process.
    while (response.writableLength === 0) {
      yield text(id++, 12_000);
      await sleep(2);
    }
    yield { ...place, id: '99999-0', type: 'cancelled' };
    ended.give();
  });
  stream.pause();
  await ended.given;
  await sleep(200);
  const received = await read(stream);
  expect([...received.matchAll(/^id: (\d+)/gm)].map(([, id]) => Number(id))).toEqual([...Array(id).keys(), 99_999]);
  expect(received.slice(received.indexOf('id: 99999'))).not.toContain('ping');
});
