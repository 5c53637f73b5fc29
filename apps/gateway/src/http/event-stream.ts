import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import type { JobEvent, MaskFormat } from '@segue/core';
import type { FastifyReply } from 'fastify';
import { toEventBody } from './json.js';

/** Keeps proxies from closing a connection on which nothing happens for a while. */
const PING_EVERY_MS = 15_000;
/** A refusal comes at once: what is silent for longer has been accepted, and the stream begins without its first event. */
const REFUSAL_WITHIN_MS = 1_000;

/** Sends events as server-sent events, whose id a client may send back as Last-Event-ID. */
export async function sendEvents(
  reply: FastifyReply,
  events: AsyncIterable<JobEvent>,
  format: MaskFormat,
): Promise<void> {
  const iterator = events[Symbol.asyncIterator]();
  let next = iterator.next();
  const first = await Promise.race([next, sleep(REFUSAL_WITHIN_MS)]);
  if (first?.done) {
    // Tells a browser that has had the last event to stop coming back.
    await reply.status(204).send();
    return;
  }
  const { raw } = reply;
  const headers = {
    ...reply.getHeaders(),
    'content-type': 'text/event-stream',
    'cache-control': 'no-store',
    'x-accel-buffering': 'no',
    // A connection that stays open after its stream would hold up a server that stops.
    connection: 'close',
  };
  reply.hijack();
  raw.writeHead(200, headers as Record<string, string>);
  const ping = setInterval(() => raw.write(': ping\n\n'), PING_EVERY_MS);
  try {
    for (;;) {
      const { done, value } = await next;
      if (done || raw.destroyed) break;
      const event = await toEventBody(value, format);
      const written = raw.write(`id: ${event.id}\nevent: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`);
      if (!written) await Promise.race([once(raw, 'drain'), once(raw, 'close')]);
      next = iterator.next();
    }
    raw.end();
  } finally {
    clearInterval(ping);
    await iterator.return?.();
  }
}
