import { performance } from 'node:perf_hooks';
import type { Answer as WireAnswer } from '@segue/contracts';
import type { RunLengthMask } from '@segue/core';
import type { GrpcClient } from '@segue/testing';
import { createParser } from 'eventsource-parser';
import type { Question } from '../workload.js';
import type { Ask, Reply, StageTimes } from './contestant.js';

/** The part of an HTTP answer that all servers have in common. */
interface AnswerBody {
  readonly text: string;
  readonly segments: readonly { readonly mask: RunLengthMask }[];
  /** Segue's. */
  readonly timings_ms?: StageTimes;
}

/** POST of `{image: base64, instruction}` as JSON. */
export function httpAsk(url: string): Ask {
  return async (question) => toReply((await (await post(url, question)).json()) as AnswerBody);
}

/** The same, with the answer's events as they happen (text/event-stream). */
export function httpStream(url: string): Ask {
  return async (question) => {
    const watch = new EventWatch();
    const response = await post(url, question, { accept: 'text/event-stream' });
    let answer: AnswerBody | undefined;
    const parser = createParser({
      onEvent: ({ event, data }) => {
        watch.see(event);
        if (event === 'completed') ({ answer } = JSON.parse(data) as { answer: AnswerBody });
      },
    });
    const decoder = new TextDecoder();
    for await (const bytes of response.body ?? []) parser.feed(decoder.decode(bytes as Uint8Array, { stream: true }));
    if (!answer) throw new Error('the stream ended without an answer');
    return { ...toReply(answer), ...watch.times };
  };
}

export function grpcAsk(client: GrpcClient): Ask {
  return async ({ picture, instruction }) => fromWire(await client.segment(toWire(picture, instruction)));
}

export function grpcStream(client: GrpcClient): Ask {
  return async ({ picture, instruction }) => {
    const watch = new EventWatch();
    for await (const { event } of client.streamSegment(toWire(picture, instruction))) {
      watch.see(event.case);
      if (event.case === 'completed') return { ...fromWire(event.value), ...watch.times };
      if (event.case === 'failed') throw new Error(event.value.message);
    }
    throw new Error('the stream ended without an answer');
  };
}

function toWire(image: Uint8Array, instruction: string) {
  return { picture: { case: 'image' as const, value: image }, instruction };
}

function fromWire({ text, segments, timingsMs }: WireAnswer): Reply {
  const masks = segments.flatMap(({ mask }): RunLengthMask[] => {
    if (mask?.encoding.case !== 'rle') throw new Error('a segment came without run lengths');
    return [{ size: [mask.height, mask.width], counts: mask.encoding.value.counts }];
  });
  return { text, masks, ...(timingsMs && { stageMs: stagesOf(timingsMs) }) };
}

/** Notes when the first words and the first mask of an answer are there. */
export class EventWatch {
  readonly #startedAt = performance.now();
  readonly #first = new Map<string, number>();

  see(type: string | undefined): void {
    if (type && !this.#first.has(type)) this.#first.set(type, performance.now() - this.#startedAt);
  }

  get times(): Pick<Reply, 'firstWordMs' | 'firstMaskMs'> {
    const [firstWordMs, firstMaskMs] = [this.#first.get('text'), this.#first.get('segment')];
    return {
      ...(firstWordMs !== undefined && { firstWordMs }),
      ...(firstMaskMs !== undefined && { firstMaskMs }),
    };
  }
}

export function toReply({ text, segments, timings_ms: timings }: AnswerBody): Reply {
  return { text, masks: segments.map(({ mask }) => mask), ...(timings && { stageMs: stagesOf(timings) }) };
}

function stagesOf({ encode, generate, decode }: StageTimes): StageTimes {
  return { encode, generate, decode };
}

async function post(
  url: string,
  { picture, instruction }: Question,
  headers: Readonly<Record<string, string>> = {},
): Promise<Response> {
  const body = JSON.stringify({ image: Buffer.from(picture).toString('base64'), instruction });
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body,
  });
  if (response.ok) return response;
  throw new Error(`${response.status} ${(await response.text()).slice(0, 300)}`);
}
