import { once } from 'node:events';
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { anyUnpack, FileDescriptorProtoSchema } from '@bufbuild/protobuf/wkt';
import {
  credentials,
  makeClientConstructor,
  Metadata,
  type Client,
  type ClientReadableStream,
  type ClientUnaryCall,
  type ServiceError,
} from '@grpc/grpc-js';
import {
  AnswerSchema,
  BadRequestSchema,
  ErrorInfoSchema,
  file_segue_v1_segmentation,
  grpcServiceDefinition,
  JobEventSchema,
  JobSchema,
  ListModelsResponseSchema,
  RetryInfoSchema,
  SegmentationService,
  SegmentRequestSchema,
  StatusSchema,
  type Answer,
  type JobEvent,
  type SegmentRequest,
} from '@segue/contracts';
import { SegueError } from '@segue/core';
import { service as healthDefinition } from 'grpc-health-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { RpcServer, type CallContext, type EndedCall, type Handlers } from './index.js';

const SegueClient = makeClientConstructor(grpcServiceDefinition(SegmentationService) as never, 'Segue');

let server: RpcServer;
let client: Client & Record<string, never>;
let address: string;
let ended: EndedCall[];
let handlers: { -readonly [K in keyof Handlers<typeof SegmentationService>]: Handlers<typeof SegmentationService>[K] };

beforeEach(async () => {
  ended = [];
  handlers = {
    segment: async (request) => create(AnswerSchema, { text: request.instruction }),
    streamSegment: async function* () {
      throw new SegueError('UNIMPLEMENTED', 'not in this test');
    },
    submitJob: async () => create(JobSchema),
    getJob: async () => create(JobSchema),
    watchJob: async function* () {
      for (let id = 0; id < 3; id++) yield create(JobEventSchema, { id: String(id) });
    },
    cancelJob: async () => create(JobSchema),
    listModels: async () => create(ListModelsResponseSchema),
  };
  server = new RpcServer({ maxReceiveBytes: 1 << 20, reflection: true, onEnd: (call) => ended.push(call) });
  const handled = Object.fromEntries(
    Object.keys(handlers).map((name) => [name, (...call: [never, never]) => handlers[name as 'segment'](...call)]),
  );
  server.add(SegmentationService, handled as unknown as Handlers<typeof SegmentationService>);
  address = `127.0.0.1:${await server.listen('127.0.0.1', 0)}`;
  client = new SegueClient(address, credentials.createInsecure()) as never;
});

afterEach(async () => {
  client.close();
  await server.close(0);
});

describe('a unary call', () => {
  it('answers, and echoes the request id', async () => {
    const metadata = new Metadata();
    metadata.set('x-request-id', 'abc-1');
    const call = segment(create(SegmentRequestSchema, { instruction: 'hello' }), { metadata });
    const initial = new Promise<Metadata>((resolve) => call.handle.on('metadata', resolve));
    expect((await call.answer).text).toBe('hello');
    expect((await initial).get('x-request-id')).toEqual(['abc-1']);
    expect(ended).toMatchObject([{ method: 'Segment', status: 0, requestId: 'abc-1' }]);
  });

  it('carries an error with its details', async () => {
    handlers.segment = async () => {
      const fields = [{ field: 'history[0].answer', problem: 'must not be empty' }];
      throw new SegueError('RESOURCE_EXHAUSTED', 'Wait a little.', {
        reason: 'TOO_LARGE',
        retryAfterMs: 1500,
        details: { depth: 9, fields },
      });
    };
    const error = await failure(segment(create(SegmentRequestSchema)).answer);
    expect(error).toMatchObject({ code: 8, details: 'Wait a little.' });
    const [trailer] = error.metadata.get('grpc-status-details-bin');
    const sent = fromBinary(StatusSchema, trailer as Buffer);
    expect(sent).toMatchObject({ code: 8, message: 'Wait a little.' });
    const [info, retry, bad] = sent.details;
    expect(info && anyUnpack(info, ErrorInfoSchema)).toMatchObject({
      reason: 'TOO_LARGE',
      domain: 'segue',
      metadata: { depth: '9' },
    });
    expect(retry && anyUnpack(retry, RetryInfoSchema)?.retryDelay).toMatchObject({ seconds: 1n, nanos: 500_000_000 });
    expect(bad && anyUnpack(bad, BadRequestSchema)?.fieldViolations).toMatchObject([
      { field: 'history[0].answer', description: 'must not be empty' },
    ]);
  });

  it('gives nothing away about a defect', async () => {
    handlers.segment = async () => {
      throw new TypeError('secret at /srv/app.js');
    };
    const error = await failure(segment(create(SegmentRequestSchema)).answer);
    expect(error.code).toBe(13);
    expect(error.details).not.toContain('secret');
    expect(ended[0]?.error).toBeInstanceOf(TypeError);
  });

  it('aborts the handler when the client cancels', async () => {
    const seen = handlerWaitsForAbort();
    const call = segment(create(SegmentRequestSchema));
    const failed = failure(call.answer);
    const context = await seen.called;
    call.handle.cancel();
    expect((await failed).code).toBe(1);
    expect(await seen.aborted).toMatchObject({ code: 'CANCELLED' });
    expect(context.deadlineAtMs).toBe(Infinity);
  });

  it('aborts the handler when the deadline passes', async () => {
    const seen = handlerWaitsForAbort();
    const call = segment(create(SegmentRequestSchema), { deadline: Date.now() + 200 });
    expect((await failure(call.answer)).code).toBe(4);
    expect(await seen.aborted).toMatchObject({ code: 'DEADLINE_EXCEEDED' });
    expect((await seen.called).deadlineAtMs - Date.now()).toBeLessThan(200);
  });

  it('refuses fields that it does not know, at any depth', async () => {
    // 99: "x" in the request itself, and in its first turn
    const unknown = { no: 99, wireType: 2, data: new Uint8Array([1, 120]) };
    const outer = create(SegmentRequestSchema, { instruction: 'x' });
    outer.$unknown = [unknown];
    expect(await failure(segment(outer).answer)).toMatchObject({
      code: 3,
      details: expect.stringContaining('SegmentRequest has no field with number 99'),
    });
    const inner = create(SegmentRequestSchema, { history: [{ instruction: 'q', answer: 'a' }] });
    inner.history[0]!.$unknown = [unknown];
    expect(await failure(segment(inner).answer)).toMatchObject({
      details: expect.stringContaining('SegmentRequest.history has no field with number 99'),
    });
  });
});

describe('a request that was made by hand', () => {
  const path = '/segue.v1.SegmentationService/Segment';
  const send = (bytes: Buffer) =>
    failure(
      new Promise((resolve, reject) =>
        client.makeUnaryRequest(
          path,
          (raw: Buffer) => raw,
          (raw: Buffer) => raw,
          bytes,
          (error, reply) => (error ? reject(error) : resolve(reply)),
        ),
      ),
    );

  it.each([
    ['random bytes', Buffer.from('not a message at all')],
    ['a field that ends too late', Buffer.from([0x1a, 0xff, 0xff, 0x03, 0x61])],
    ['text that is no UTF-8', Buffer.from([0x1a, 0x02, 0xc3, 0x28])],
    ['groups within groups', Buffer.alloc(200_000, 0x53)],
  ])('is refused for %s', async (_, bytes) => {
    expect(await send(bytes)).toMatchObject({ code: 3 });
  });

  it('is refused for 20 000 unknown fields, in a status that can be sent', async () => {
    const field = (number: number) => Buffer.from([...varint(number << 3), 1]);
    const error = await send(Buffer.concat(Array.from({ length: 9_000 }, (_, i) => field(100 + i))));
    expect(error).toMatchObject({ code: 3, details: expect.stringContaining('and 8995 more') });
    const more = await send(Buffer.concat(Array.from({ length: 20_000 }, (_, i) => field(100 + i))));
    expect(more).toMatchObject({ code: 3, details: expect.stringContaining('10000 fields at most') });
  });

  it('is refused for hundreds of thousands of turns before they are made', async () => {
    const startedAt = performance.now();
    const error = await send(Buffer.alloc(1_000_000, Buffer.from([0x22, 0x00])));
    expect(error).toMatchObject({ code: 3, details: expect.stringContaining('fewer turns') });
    expect(performance.now() - startedAt).toBeLessThan(1_000);
  });

  function varint(value: number): number[] {
    return value < 128 ? [value] : [(value & 127) | 128, ...varint(value >>> 7)];
  }
});

describe('a streaming call', () => {
  it('delivers all messages in order', async () => {
    const ids: string[] = [];
    for await (const event of watch() as AsyncIterable<JobEvent>) ids.push(event.id);
    expect(ids).toEqual(['0', '1', '2']);
  });

  it('waits for a slow reader instead of buffering', async () => {
    let produced = 0;
    handlers.watchJob = async function* () {
      for (; produced < 400; produced++) {
        yield create(JobEventSchema, { event: { case: 'text', value: { offset: 0, text: 'x'.repeat(64 << 10) } } });
      }
    };
    let received = 0;
    for await (const event of watch() as AsyncIterable<JobEvent>) {
      expect(event.event.case).toBe('text');
      if (++received > 1) continue;
      await new Promise((resolve) => setTimeout(resolve, 300));
      expect(produced).toBeLessThan(200);
    }
    expect(received).toBe(400);
  });

  it('ends the handler when the client goes away', async () => {
    let left = (): void => undefined;
    const finished = new Promise<void>((resolve) => (left = resolve));
    handlers.watchJob = async function* (_request, call) {
      try {
        yield create(JobEventSchema, { id: '0' });
        await new Promise((_resolve, reject) =>
          call.signal.addEventListener('abort', () => reject(call.signal.reason)),
        );
      } finally {
        left();
      }
    };
    const stream = watch();
    stream.on('error', () => undefined);
    stream.once('data', () => stream.cancel());
    await finished;
    await expect.poll(() => ended).toMatchObject([{ method: 'WatchJob', status: 1 }]);
  });

  it('ends with the status of an error in mid-stream', async () => {
    handlers.watchJob = async function* () {
      yield create(JobEventSchema, { id: '0' });
      throw new SegueError('NOT_FOUND', 'gone');
    };
    const stream = watch();
    expect((await once(stream, 'data'))[0]).toMatchObject({ id: '0' });
    await expect(once(stream, 'end')).rejects.toMatchObject({ code: 5, details: 'gone' });
  });
});

it('tells health', async () => {
  const Health = makeClientConstructor(healthDefinition as never, 'Health');
  const health = new Health(address, credentials.createInsecure());
  const check = (service: string) =>
    new Promise((resolve, reject) => {
      (health as never as { check: CallableFunction }).check({ service }, (error: Error | null, reply: unknown) =>
        error ? reject(error) : resolve(reply),
      );
    });
  expect(await check('')).toMatchObject({ status: 'NOT_SERVING' });
  server.setServing(true);
  expect(await check('segue.v1.SegmentationService')).toMatchObject({ status: 'SERVING' });
  health.close();
});

it('describes itself to a client that knows nothing', async () => {
  const reflectionMethod = {
    path: '/grpc.reflection.v1.ServerReflection/ServerReflectionInfo',
    requestStream: true,
    responseStream: true,
    requestSerialize: (bytes: Buffer) => bytes,
    requestDeserialize: (bytes: Buffer) => bytes,
    responseSerialize: (bytes: Buffer) => bytes,
    responseDeserialize: (bytes: Buffer) => bytes,
  };
  const Reflection = makeClientConstructor({ info: reflectionMethod }, 'Reflection');
  const reflection = new Reflection(address, credentials.createInsecure());
  const ask = (field: number, value: string): Promise<Buffer> =>
    new Promise((resolve, reject) => {
      const stream = (reflection as never as { info: CallableFunction }).info();
      stream.on('data', (reply: Buffer) => resolve(reply)).on('error', reject);
      stream.end(stream.write(Buffer.from([(field << 3) | 2, value.length, ...Buffer.from(value)])) && undefined);
    });
  const services = (await ask(7, '*')).toString('latin1');
  expect(services).toContain('segue.v1.SegmentationService');
  expect(services).toContain('grpc.health.v1.Health');
  const descriptor = await ask(4, 'segue.v1.SegmentationService');
  expect(
    descriptor.includes(
      Buffer.from(toBinary(FileDescriptorProtoSchema, file_segue_v1_segmentation.proto)).subarray(0, 200),
    ),
  ).toBe(true);
  reflection.close();
});

function segment(
  request: SegmentRequest,
  { metadata = new Metadata(), deadline }: { metadata?: Metadata; deadline?: number } = {},
) {
  let handle!: ClientUnaryCall;
  const answer = new Promise<Answer>((resolve, reject) => {
    handle = (client as never as { Segment: CallableFunction }).Segment(
      request,
      metadata,
      deadline === undefined ? {} : { deadline },
      (error: ServiceError | null, reply: Answer) => (error ? reject(error) : resolve(reply)),
    );
  });
  return { answer, handle };
}

function watch(): ClientReadableStream<JobEvent> {
  return (client as never as { WatchJob: CallableFunction }).WatchJob({
    $typeName: 'segue.v1.WatchJobRequest',
    jobId: '',
    afterEventId: '',
  });
}

async function failure(answer: Promise<unknown>): Promise<ServiceError> {
  return answer.then(
    () => Promise.reject(new Error('the call should have failed')),
    (error: ServiceError) => error,
  );
}

function handlerWaitsForAbort() {
  let onCall!: (context: CallContext) => void;
  let onAbort!: (reason: unknown) => void;
  const called = new Promise<CallContext>((resolve) => (onCall = resolve));
  const aborted = new Promise<unknown>((resolve) => (onAbort = resolve));
  handlers.segment = (_request, context) => {
    onCall(context);
    return new Promise((_resolve, reject) => {
      context.signal.addEventListener('abort', () => {
        onAbort(context.signal.reason);
        reject(context.signal.reason);
      });
    });
  };
  return { called, aborted };
}
