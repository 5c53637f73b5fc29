import { Code, ConnectError } from '@connectrpc/connect';
import { SegueClient } from '@segue/client';
import { JobState as WireState, type Answer as WireAnswer, type JobEvent as WireEvent } from '@segue/contracts';
import { SegueError, type Answer, type ErrorCode, type JobEvent, type JobState } from '@segue/core';
import { connectOverGrpc } from '@segue/testing';
import type { Transport } from './plan.js';

export interface Question {
  readonly image: Uint8Array;
  readonly instruction: string;
  readonly timeoutMs: number;
  readonly idempotencyKey?: string;
}

/** What an answer says: its words, and the masks' run lengths by index. */
export type Content = readonly [text: string, ...masks: string[]];

/** An event as any transport tells it. */
export interface SeenEvent {
  readonly id: string;
  readonly jobId: string;
  readonly atMs: number;
  readonly type: JobEvent['type'];
  /** A piece of text. */
  readonly text?: string;
  readonly segment?: { readonly index: number; readonly counts: string };
  readonly answer?: Content;
  readonly code?: string;
}

export interface SeenJob {
  readonly state: JobState;
  readonly deadlineAtMs: number;
  readonly answer?: Content;
  readonly error?: { readonly code: string; readonly message: string };
}

/** Segue's interface as it is over any transport. All methods throw a `SegueError`. */
export interface Asker {
  call(question: Question): Promise<{ readonly jobId: string; readonly answer: Content }>;
  stream(question: Question, signal?: AbortSignal): AsyncIterable<SeenEvent>;
  submit(question: Question): Promise<string>;
  watch(jobId: string, afterEventId?: string): AsyncIterable<SeenEvent>;
  get(jobId: string): Promise<SeenJob>;
  cancel(jobId: string): Promise<void>;
}

/** @param port of 127.0.0.1 */
export function connect(transport: Transport, port: number): Asker {
  return transport === 'http' ? overHttp(`http://127.0.0.1:${port}`) : overGrpc(`127.0.0.1:${port}`);
}

function overHttp(baseUrl: string): Asker {
  const client = new SegueClient({ baseUrl, retries: 0 });
  return {
    async call(question) {
      const answer = await client.segment(question);
      return { jobId: answer.jobId, answer: contentOf(answer) };
    },
    async *stream(question, signal) {
      for await (const event of client.stream(question, signal && { signal })) yield seen(event);
    },
    submit: async (question) => (await client.jobs.submit(question)).jobId,
    async *watch(jobId, afterEventId) {
      for await (const event of client.jobs.watch(jobId, afterEventId === undefined ? {} : { afterEventId }))
        yield seen(event);
    },
    async get(jobId) {
      const { state, deadlineAtMs, answer, error } = await client.jobs.get(jobId);
      return { state, deadlineAtMs, ...(answer && { answer: contentOf(answer) }), ...(error && { error }) };
    },
    cancel: async (jobId) => void (await client.jobs.cancel(jobId)),
  };
}

function contentOf({ text, segments }: Answer): Content {
  return [text, ...segments.map(({ mask }) => mask.counts)];
}

function seen(event: JobEvent): SeenEvent {
  const { id, jobId, atMs, type } = event;
  const place = { id, jobId, atMs, type };
  if (event.type === 'text') return { ...place, text: event.text };
  if (event.type === 'segment') {
    const { index, mask } = event.segment;
    return { ...place, segment: { index, counts: mask.counts } };
  }
  if (event.type === 'completed') return { ...place, answer: contentOf(event.answer) };
  if (event.type === 'failed') return { ...place, code: event.error.code };
  return place;
}

function overGrpc(address: string): Asker {
  const client = connectOverGrpc(address);
  const request = ({ image, timeoutMs, ...rest }: Question) => {
    return { ...rest, picture: { case: 'image', value: image }, timeoutMs: BigInt(timeoutMs) } as const;
  };
  return {
    call: (question) =>
      failing(async () => {
        const answer = await client.segment(request(question));
        return { jobId: answer.jobId, answer: wireContent(answer) };
      }),
    stream: (question, signal) => failingStream(client.streamSegment(request(question), signal && { signal })),
    submit: (question) => failing(async () => (await client.submitJob(request(question))).jobId),
    watch: (jobId, afterEventId = '') => failingStream(client.watchJob({ jobId, afterEventId })),
    get: (jobId) =>
      failing(async () => {
        const { state, deadlineAtMs, answer, error } = await client.getJob({ jobId });
        return {
          state: WireState[state].toLowerCase() as JobState,
          deadlineAtMs: Number(deadlineAtMs),
          ...(answer && { answer: wireContent(answer) }),
          ...(error && { error }),
        };
      }),
    cancel: (jobId) => failing(async () => void (await client.cancelJob({ jobId }))),
  };
}

async function failing<T>(call: () => Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (error) {
    throw fromConnect(error);
  }
}

async function* failingStream(events: AsyncIterable<WireEvent>): AsyncGenerator<SeenEvent> {
  try {
    for await (const event of events) yield wireSeen(event);
  } catch (error) {
    throw fromConnect(error);
  }
}

function fromConnect(thrown: unknown): SegueError {
  const error = ConnectError.from(thrown);
  // The connection broke, and the service has said nothing: this client calls that by the code of the transport's reset.
  const node = error.cause instanceof Error && 'code' in error.cause;
  if (node || /stream closed/i.test(error.rawMessage))
    return new SegueError('UNAVAILABLE', error.rawMessage, { cause: error });
  const name = Code[error.code].replaceAll(/(?<=[a-z])[A-Z]/g, '_$&').toUpperCase();
  return new SegueError((name === 'CANCELED' ? 'CANCELLED' : name) as ErrorCode, error.rawMessage, { cause: error });
}

function wireContent({ text, segments }: WireAnswer): Content {
  return [text, ...segments.map(({ mask }) => (mask?.encoding.case === 'rle' ? mask.encoding.value.counts : ''))];
}

function wireSeen({ id, jobId, atMs, event }: WireEvent): SeenEvent {
  const place = { id, jobId, atMs: Number(atMs), type: event.case as SeenEvent['type'] };
  switch (event.case) {
    case 'text':
      return { ...place, text: event.value.text };
    case 'segment': {
      const { index, mask } = event.value;
      return { ...place, segment: { index, counts: mask?.encoding.case === 'rle' ? mask.encoding.value.counts : '' } };
    }
    case 'completed':
      return { ...place, answer: wireContent(event.value) };
    case 'failed':
      return { ...place, code: event.value.code };
    default:
      return place;
  }
}
