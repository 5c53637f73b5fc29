import { pipeline } from 'node:stream/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import type { JobEvent, MaskFormat } from '@segue/core';
import type { FastifyReply } from 'fastify';
import { toEventBody } from './json.js';

/** Keeps proxies from closing a connection on which nothing happens for a while. */
const PING_EVERY_MS = 15_000;
/** A refusal comes at once: what is silent for longer has been accepted, and the stream begins without its first event. */
const REFUSAL_WITHIN_MS = 1_000;

/**
 * Sends events as server-sent events, whose id a client may send back as Last-Event-ID.
 * @param client aborts when the client has gone.
 */
export async function sendEvents(
  reply: FastifyReply,
  events: AsyncIterable<JobEvent>,
  format: MaskFormat,
  client: AbortSignal,
): Promise<void> {
  const iterator = events[Symbol.asyncIterator]();
  const first = iterator.next();
  const early = await Promise.race([first, sleep(REFUSAL_WITHIN_MS, undefined, { ref: false })]);
  if (early?.done) {
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
    await pipeline(frames(first, iterator, format), raw);
  } catch (error) {
    // With the client gone there is nobody left to tell.
    if (!client.aborted) throw error;
  } finally {
    clearInterval(ping);
  }
}

async function* frames(
  first: Promise<IteratorResult<JobEvent>>,
  rest: AsyncIterator<JobEvent>,
  format: MaskFormat,
): AsyncGenerator<string, void> {
  try {
    for (let next = await first; !next.done; next = await rest.next()) {
      const event = await toEventBody(next.value, format);
      yield `id: ${event.id}\nevent: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`;
    }
  } finally {
    await rest.return?.();
  }
}
