import { once } from 'node:events';
import { connect } from 'node:http2';
import { create } from '@bufbuild/protobuf';
import { credentials, makeClientConstructor, Metadata, status, type Client, type ServiceError } from '@grpc/grpc-js';
import {
  AnswerSchema,
  grpcServiceDefinition,
  ListModelsResponseSchema,
  SegmentationService,
  SegmentRequestSchema,
  type Answer,
} from '@segue/contracts';
import { SegueError } from '@segue/core';
import { afterEach, beforeEach, expect, it, onTestFinished } from 'vitest';
import type { Receiving } from './admit.js';
import { RpcServer, type EndedCall } from './index.js';

const SegueClient = makeClientConstructor(grpcServiceDefinition(SegmentationService) as never, 'Segue');
const PATH = '/segue.v1.SegmentationService/Segment';
const REQUEST = create(SegmentRequestSchema, { instruction: 'x'.repeat(100_000) });

let receive: () => Receiving | undefined;
let server: RpcServer;
let client: Client & Record<string, never>;
let address: string;
let ended: EndedCall[];

beforeEach(async () => {
  ended = [];
  const never = () => Promise.reject(new SegueError('UNIMPLEMENTED', 'not in this test'));
  const stream = async function* () {
    yield await never();
  };
  server = new RpcServer({
    maxReceiveBytes: 1 << 20,
    receiveTimeoutMs: 300,
    admit: ({ authorization }) => {
      if (authorization === 'Bearer wrong') throw new SegueError('UNAUTHENTICATED', 'Send a key.');
      return receive();
    },
    onEnd: (call) => ended.push(call),
  });
  server.add(SegmentationService, {
    segment: async ({ instruction }) => create(AnswerSchema, { text: instruction }),
    streamSegment: stream,
    watchJob: stream,
    submitJob: never,
    getJob: never,
    cancelJob: never,
    listModels: async () => create(ListModelsResponseSchema),
  });
  address = `127.0.0.1:${await server.listen('127.0.0.1', 0)}`;
  client = new SegueClient(address, credentials.createInsecure()) as never;
});

afterEach(async () => {
  client.close();
  await server.close(0);
});

it('refuses a call by its headers', async () => {
  receive = () => undefined;
  expect(await segment('Bearer wrong')).toMatchObject({ code: status.UNAUTHENTICATED, details: 'Send a key.' });
  expect(ended).toMatchObject([{ method: 'Segment', status: status.UNAUTHENTICATED }]);
  expect(await segment('Bearer right')).toMatchObject({ text: REQUEST.instruction });
});

it('counts the bytes of a message, and tells once that its call has ended', async () => {
  let [held, closes] = [0, 0];
  receive = () => ({ add: (bytes) => (held += bytes), close: () => closes++ });
  await segment();
  expect(held).toBeGreaterThan(REQUEST.instruction.length);
  await expect.poll(() => closes).toBe(1);
});

it('refuses a message in its midst', async () => {
  let held = 0;
  receive = () => ({
    add(bytes) {
      if ((held += bytes) > 50_000) throw new SegueError('RESOURCE_EXHAUSTED', 'No room.', { retryAfterMs: 1_000 });
    },
    close: () => undefined,
  });
  expect(await segment()).toMatchObject({ code: status.RESOURCE_EXHAUSTED, details: 'No room.' });
  expect(ended).toMatchObject([{ method: 'Segment', status: status.RESOURCE_EXHAUSTED }]);
});

it('waits for a message no longer than it may take', async () => {
  let closed = false;
  receive = () => ({ add: () => undefined, close: () => (closed = true) });
  const session = connect(`http://${address}`);
  onTestFinished(() => session.destroy());
  const headers = { ':method': 'POST', ':path': PATH, 'content-type': 'application/grpc', te: 'trailers' };
  const stream = session.request(headers);
  stream.write(Buffer.from([0, 0, 0, 0, 100, 1])); // a hundred bytes are announced, one comes
  const [answer] = (await once(stream, 'response')) as [Record<string, string>];
  expect(answer['grpc-status']).toBe(String(status.DEADLINE_EXCEEDED));
  await expect.poll(() => closed).toBe(true);
});

/** The answer, or the error. */
function segment(authorization?: string): Promise<Answer | ServiceError> {
  const metadata = new Metadata();
  if (authorization !== undefined) metadata.set('authorization', authorization);
  return new Promise((resolve) => {
    (client as never as { Segment: CallableFunction }).Segment(
      REQUEST,
      metadata,
      (error: ServiceError | null, reply: Answer) => resolve(error ?? reply),
    );
  });
}
