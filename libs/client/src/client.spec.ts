import { create } from '@bufbuild/protobuf';
import {
  AnswerSchema,
  JobSchema,
  JobEventSchema,
  JobState,
  ListModelsResponseSchema,
  MaskFormat,
  Mode,
  SegmentationService,
  Stage,
  type SegmentRequest,
} from '@segue/contracts';
import { encodeMask, SegueError } from '@segue/core';
import { RpcServer, type CallContext } from '@segue/rpc';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { SegueClient } from './client.js';
import { serverSentEvents } from './server-sent-events.js';

const mask = encodeMask(new Uint8Array([0, 1, 1, 0, 1, 0]), 2, 3);
const wireSegment = {
  index: 0,
  phrase: 'the cup',
  span: { start: 0, end: 7 },
  mask: { height: 2, width: 3, encoding: { case: 'rle' as const, value: { counts: mask.counts } } },
  box: { x: 0, y: 0, width: 3, height: 2 },
  area: 3n,
  score: 0.5,
};
const wireAnswer = create(AnswerSchema, {
  jobId: 'j1',
  text: 'the cup <SEG>.',
  segments: [wireSegment],
  finishReason: 'stop',
  timingsMs: { total: 12 },
  cache: { image: true },
});
const segment = { index: 0, phrase: 'the cup', span: [0, 7], mask, box: [0, 0, 3, 2], area: 3, score: 0.5 };

const KNOWLEDGE = { kinds: ['cup', 'spoon'], languages: ['English'], limits: ['It reads no text.'] };

let server: RpcServer;
let client: SegueClient;
let requests: SegmentRequest[];
let behave: (call: CallContext) => Promise<void>;
let streams: number;

beforeEach(async () => {
  requests = [];
  streams = 0;
  behave = async () => undefined;
  const job = async () =>
    create(JobSchema, {
      jobId: 'j1',
      state: JobState.FAILED,
      createdAtMs: 5n,
      instruction: 'Where?',
      imageId: 'i',
      error: { code: 'INTERNAL', message: 'no' },
    });
  async function* events(call: CallContext) {
    streams++;
    try {
      yield create(JobEventSchema, {
        id: '1-0',
        jobId: 'j1',
        atMs: 7n,
        event: { case: 'accepted', value: { imageId: 'i' } },
      });
      yield create(JobEventSchema, {
        id: '2-0',
        event: { case: 'stage', value: { stage: Stage.ENCODE, done: true, cached: true } },
      });
      yield create(JobEventSchema, { id: '3-0', event: { case: 'segment', value: wireSegment } });
      await behave(call);
      yield create(JobEventSchema, { id: '4-0', event: { case: 'completed', value: wireAnswer } });
    } finally {
      streams--;
    }
  }
  server = new RpcServer({ maxReceiveBytes: 1 << 20 }).add(SegmentationService, {
    segment: async (request, call) => {
      requests.push(request);
      await behave(call);
      return wireAnswer;
    },
    streamSegment: (_request, call) => events(call),
    submitJob: job,
    getJob: job,
    watchJob: (request, call) => {
      expect(request).toMatchObject({ jobId: 'j1', afterEventId: '' });
      return events(call);
    },
    cancelJob: job,
    listModels: async () =>
      create(ListModelsResponseSchema, {
        models: [{ name: 'm', modes: [Mode.ANSWER, Mode.MASK_ONLY], knowledge: KNOWLEDGE }, { name: 'n' }],
      }),
  });
  client = new SegueClient({ address: `127.0.0.1:${await server.listen('127.0.0.1', 0)}` });
});

afterEach(async () => {
  client.close();
  await server.close(0);
});

const picture = { image: new Uint8Array([1, 2, 3]), instruction: 'the cup' };

describe('SegueClient', () => {
  it('asks and answers', async () => {
    expect(
      await client.segment({
        ...picture,
        history: [{ instruction: 'q', answer: 'a' }],
        mode: 'mask_only',
        timeoutMs: 900,
      }),
    ).toEqual({
      jobId: 'j1',
      text: 'the cup <SEG>.',
      segments: [segment],
      model: '',
      finishReason: 'stop',
      timingsMs: { queue: 0, encode: 0, generate: 0, decode: 0, total: 12 },
      cache: { image: true, prefix: false },
      imageId: '',
    });
    expect(requests[0]).toMatchObject({
      picture: { case: 'image', value: Buffer.from([1, 2, 3]) },
      instruction: 'the cup',
      history: [{ instruction: 'q', answer: 'a' }],
      mode: Mode.MASK_ONLY,
      maskFormat: MaskFormat.RLE,
      timeoutMs: 900n,
    });
  });

  it('streams events', async () => {
    const events = [];
    for await (const event of client.stream(picture)) events.push(event);
    expect(events).toMatchObject([
      { id: '1-0', jobId: 'j1', atMs: 7, type: 'accepted', imageId: 'i' },
      { type: 'stage', stage: 'encode', done: true, cached: true },
      { type: 'segment', segment },
      { type: 'completed', answer: { text: 'the cup <SEG>.' } },
    ]);
  });

  it('cancels the stream of a loop that is left', async () => {
    behave = (call) =>
      new Promise((_resolve, reject) => call.signal.addEventListener('abort', () => reject(call.signal.reason)));
    for await (const event of client.watch('j1')) if (event.type === 'segment') break;
    await expect.poll(() => streams).toBe(0);
  });

  it('reads jobs and models', async () => {
    expect(await client.get('j1')).toEqual({
      jobId: 'j1',
      state: 'failed',
      createdAtMs: 5,
      deadlineAtMs: 0,
      instruction: 'Where?',
      imageId: 'i',
      error: { code: 'INTERNAL', message: 'no', details: {} },
    });
    expect(await client.models()).toMatchObject([
      { name: 'm', modes: ['answer', 'mask_only'], isDefault: false, knowledge: KNOWLEDGE },
      { name: 'n', modes: [] },
    ]);
  });

  it('fails with what the service said', async () => {
    behave = async () => {
      throw new SegueError('INVALID_ARGUMENT', 'Too large.', {
        reason: 'TOO_LARGE',
        details: { limit: 5 },
        retryAfterMs: 7,
      });
    };
    const error = await client.segment(picture).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(SegueError);
    expect(error).toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: 'Too large.',
      reason: 'TOO_LARGE',
      details: { limit: 5 },
      retryAfterMs: 7,
    });
  });

  it('gives up when its signal says so', async () => {
    const controller = new AbortController();
    behave = (call) =>
      new Promise((_resolve, reject) => {
        call.signal.addEventListener('abort', () => reject(call.signal.reason));
        controller.abort();
      });
    await expect(client.segment(picture, { signal: controller.signal })).rejects.toMatchObject({ code: 'CANCELLED' });
  });

  it('says UNAVAILABLE when nobody listens', async () => {
    const lonely = new SegueClient({ address: '127.0.0.1:1' });
    await expect(lonely.models()).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    lonely.close();
  });
});

it('reads server-sent events', async () => {
  const events = [];
  for await (const event of serverSentEvents(
    new Response('id: 1\nevent: text\ndata: {"a":1}\n\n: ping\n\nid: 2\ndata: x\n\n'),
  )) {
    events.push(event);
  }
  expect(events).toMatchObject([
    { id: '1', event: 'text', data: '{"a":1}' },
    { id: '2', data: 'x' },
  ]);
});
