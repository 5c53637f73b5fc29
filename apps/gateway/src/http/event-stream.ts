import { pipeline } from 'node:stream/promises';
import type { JobEvent } from '@segue/core';
import type { FastifyReply } from 'fastify';
import type { EncodeMask } from '../segmentation/encoded-mask.js';
import { toEventBody } from './json.js';

/** Keeps proxies from closing a connection on which nothing happens for a while. */
const PING_EVERY_MS = 15_000;
/** A refusal comes at once: what is silent for longer has been accepted, and the stream begins without its first event. */
const REFUSAL_WITHIN_MS = 1_000;

export interface SendFramesOptions {
  /** Aborts when the client has gone. */
  readonly client: AbortSignal;
  readonly pingEveryMs?: number;
}

export interface SendEventsOptions extends SendFramesOptions {
  readonly encodeMask: EncodeMask;
}

/** Sends events as server-sent events, whose id a client may send back as Last-Event-ID. */
export function sendEvents(
  reply: FastifyReply,
  events: AsyncIterable<JobEvent>,
  { encodeMask, ...options }: SendEventsOptions,
): Promise<void> {
  return sendFrames(reply, framesOf(events, encodeMask), options);
}

/** Sends frames of server-sent events, as they are written. */
export async function sendFrames(
  reply: FastifyReply,
  frames: AsyncIterable<string>,
  { client, pingEveryMs = PING_EVERY_MS }: SendFramesOptions,
): Promise<void> {
  const iterator = frames[Symbol.asyncIterator]();
  const first = iterator.next();
  if ((await within(first, REFUSAL_WITHIN_MS))?.done) {
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
  try {
    await pipeline(withPings(first, iterator, pingEveryMs), raw);
  } catch (error) {
    // With the client gone there is nobody left to tell.
    if (!client.aborted) throw error;
  }
}

async function* framesOf(events: AsyncIterable<JobEvent>, encodeMask: EncodeMask): AsyncGenerator<string, void> {
  for await (const happened of events) {
    const event = await toEventBody(happened, encodeMask);
    yield `id: ${event.id}\nevent: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`;
  }
}

/** Pings are frames like others: they wait for a slow reader, and none comes after the last event. */
async function* withPings(
  first: Promise<IteratorResult<string>>,
  rest: AsyncIterator<string>,
  pingEveryMs: number,
): AsyncGenerator<string, void> {
  try {
    for (let next = first; ;) {
      const result = await within(next, pingEveryMs);
      if (result?.done) return;
      yield result ? result.value : ': ping\n\n';
      if (result) next = rest.next();
    }
  } finally {
    await rest.return?.();
  }
}

/** What the promise gives, or undefined if it takes longer. */
async function within<T>(promise: Promise<T>, limitMs: number): Promise<T | undefined> {
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<undefined>((resolve) => (timer = setTimeout(resolve, limitMs, undefined)));
  try {
    return await Promise.race([promise, limit]);
  } finally {
    clearTimeout(timer);
  }
}
