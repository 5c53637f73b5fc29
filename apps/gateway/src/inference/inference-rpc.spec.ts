import { GRPCInferenceService } from '@segue/contracts';
import { grpcClientOf } from '@segue/testing';
import { expect, it } from 'vitest';
import { HEIGHT, photo, TEXT, useGateway, WIDTH } from '../gateway.fixture.js';

// tritonclient is tried by e2e/src/examples.spec.ts; here is what it does not send.
const fixture = useGateway();
const client = () => grpcClientOf(GRPCInferenceService, fixture.gateway.grpcAddress);
const MODEL = 'tiny-random';

const given = (name: string, value: Uint8Array) => {
  return { name, datatype: 'BYTES', shape: [1n], contents: { bytesContents: [value] } };
};
const raw = (name: string) => ({ name, datatype: 'BYTES', shape: [1n] });
const words = (text: string): Uint8Array => new TextEncoder().encode(text);
/** An element as raw contents hold it: its length, then its bytes. */
const packed = (value: Uint8Array): Uint8Array => {
  const length = Buffer.alloc(4);
  length.writeUInt32LE(value.byteLength);
  return Buffer.concat([length, value]);
};

it('tells of the server and of the model', async () => {
  expect(await client().serverLive({})).toMatchObject({ live: true });
  expect(await client().serverReady({})).toMatchObject({ ready: true });
  expect(await client().serverMetadata({})).toMatchObject({ name: 'segue' });
  const { versions, inputs, outputs } = await client().modelMetadata({ name: MODEL });
  expect(inputs.map(({ name }) => name)).toContain('instruction');
  expect(outputs.map(({ name }) => name)).toContain('masks');
  expect(await client().modelReady({ name: MODEL, version: versions[0]! })).toMatchObject({ ready: true });
  await expect(client().modelReady({ name: MODEL, version: '9' })).rejects.toThrow(/no model/);
});

it('answers with the outputs that are asked for, of values that come either way', async () => {
  const image = await photo();
  const outputs = [{ name: 'text' }, { name: 'masks' }];
  const instruction = words('Where is the cup?');
  const typed = { inputs: [given('image', image), given('instruction', instruction)] };
  const untyped = {
    inputs: [raw('image'), raw('instruction')],
    rawInputContents: [packed(image), packed(instruction)],
  };
  for (const inputs of [typed, untyped]) {
    const answer = await client().modelInfer({ modelName: MODEL, id: 'mine', outputs, ...inputs });
    expect(answer).toMatchObject({ id: 'mine', modelName: MODEL });
    expect(answer.outputs.map(({ name, shape }) => [name, ...shape.map(Number)])).toEqual([
      ['text', 1],
      ['masks', 1, HEIGHT, WIDTH],
    ]);
    const [text, masks] = answer.rawOutputContents;
    expect(Buffer.from(text!.subarray(4)).toString()).toBe(TEXT);
    expect([...masks!.subarray(0, WIDTH)]).toEqual([0, 0, 0, 1, 1, 1]);
  }
});

it.each([
  ['a value that is missing', { inputs: [raw('image')] }, /"image" has no value/],
  [
    'raw contents for some inputs alone',
    { inputs: [raw('image'), raw('instruction')], rawInputContents: [words('x')] },
    /one entry for each input/,
  ],
])('refuses %s', async (_what, request, message) => {
  await expect(client().modelInfer({ modelName: MODEL, ...request })).rejects.toThrow(message);
});
