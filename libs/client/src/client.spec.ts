import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { Server, ServerCredentials, status, type ServerWritableStream, type sendUnaryData } from '@grpc/grpc-js';
import * as v1 from '@segue/contracts';
import { SegueError } from '@segue/core';
import { afterAll, beforeAll, expect, it } from 'vitest';

import { SegueClient } from './client.js';

const segment: MessageInitShape<typeof v1.SegmentSchema> = {
  index: 0,
  phrase: 'the cup',
  span: { start: 6, end: 13 },
  mask: { height: 2, width: 3, encoding: { case: 'rle', value: { counts: '222' } } },
  box: { x: 1, y: 0, width: 1, height: 2 },
  area: 2n,
  score: 0.5,
};
const answer = create(v1.AnswerSchema, {
  jobId: 'job',
  text: 'It is the cup <SEG>.',
  segments: [segment],
  finishReason: 'stop',
});

let server: Server;
let client: SegueClient;
let asked: v1.SegmentRequest | undefined;
let streamEnded: Promise<void>;

beforeAll(async () => {
  server = new Server();
  server.addService(v1.grpcServiceDefinition(v1.SegmentationService), {
    Segment({ request }: { request: v1.SegmentRequest }, reply: sendUnaryData<v1.Answer>) {
      asked = request;
      if (request.instruction === '') reply({ code: status.INVALID_ARGUMENT, details: 'Ask something.' });
      else if (request.instruction !== 'never') reply(null, answer);
    },
    StreamSegment(call: ServerWritableStream<v1.SegmentRequest, v1.JobEvent>) {
      streamEnded = new Promise((resolve) => call.on('cancelled', resolve));
      call.write(create(v1.JobEventSchema, { id: '1', event: { case: 'text', value: { offset: 0, text: 'It' } } }));
      call.write(create(v1.JobEventSchema, { id: '2', event: { case: 'segment', value: segment } }));
      if (call.request.instruction !== 'never') call.end();
    },
  });
  const port = await new Promise<number>((resolve, reject) =>
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
      error ? reject(error) : resolve(bound),
    ),
  );
  client = new SegueClient(`127.0.0.1:${port}`);
});

afterAll(() => {
  client.close();
  server.forceShutdown();
});

it('sends a question and reads the answer', async () => {
  const result = await client.segment({
    picture: new Uint8Array([1, 2]),
    instruction: 'cup?',
    history: [{ instruction: 'a', answer: 'b' }],
  });
  expect(asked?.picture).toEqual({ case: 'image', value: Buffer.from([1, 2]) });
  expect(asked?.history).toMatchObject([{ instruction: 'a', answer: 'b' }]);
  expect(result).toMatchObject({
    text: 'It is the cup <SEG>.',
    segments: [{ phrase: 'the cup', span: [6, 13], mask: { size: [2, 3], counts: '222' }, box: [1, 0, 1, 2], area: 2 }],
  });
});

it('refers to a picture that was sent before', async () => {
  await client.segment({ picture: { imageId: 'abc' }, instruction: 'cup?' });
  expect(asked?.picture).toEqual({ case: 'imageId', value: 'abc' });
});

it("throws the service's own code and sentence", async () => {
  const failure = client.segment({ picture: { imageId: 'abc' }, instruction: '' });
  await expect(failure).rejects.toThrowError(SegueError);
  await expect(failure).rejects.toMatchObject({ code: 'INVALID_ARGUMENT', message: 'Ask something.' });
});

it('ends a call at its time limit and at its signal', async () => {
  const never = { picture: { imageId: 'abc' }, instruction: 'never' };
  await expect(client.segment(never, { timeoutMs: 50 })).rejects.toMatchObject({ code: 'DEADLINE_EXCEEDED' });
  await expect(client.segment(never, { signal: AbortSignal.timeout(50) })).rejects.toMatchObject({ code: 'CANCELLED' });
});

it('streams events in order', async () => {
  const types: string[] = [];
  for await (const event of client.stream({ picture: { imageId: 'abc' }, instruction: 'cup?' })) types.push(event.type);
  expect(types).toEqual(['text', 'segment']);
});

it('cancels the call when the loop is left early', async () => {
  for await (const event of client.stream({ picture: { imageId: 'abc' }, instruction: 'never' })) {
    expect(event).toMatchObject({ type: 'text', text: 'It' });
    break;
  }
  await streamEnded;
});
