import { request as httpRequest, type IncomingMessage } from 'node:http';
import { buffer } from 'node:stream/consumers';
import { describe, expect, it } from 'vitest';
import { HEIGHT, photo, TEXT, useGateway, WIDTH } from '../gateway.fixture.js';

// tritonclient is tried by e2e/src/examples.spec.ts; here is what it does not send.
const fixture = useGateway();

async function call(path: string, body?: unknown, headers: Readonly<Record<string, string>> = {}) {
  const response = await fetch(`${fixture.gateway.url}/v2${path}`, {
    ...(body !== undefined && {
      method: 'POST',
      body: Buffer.isBuffer(body) ? new Uint8Array(body) : JSON.stringify(body),
    }),
    headers: { 'content-type': 'application/json', ...headers },
  });
  return { status: response.status, headers: response.headers, bytes: Buffer.from(await response.arrayBuffer()) };
}
const json = ({ bytes }: Awaited<ReturnType<typeof call>>) => JSON.parse(bytes.toString()) as Record<string, unknown>;
const bytes = (name: string, data: string) => ({ name, datatype: 'BYTES', shape: [1], data: [data] });

const MODEL = '/models/tiny-random';

describe('the Open Inference Protocol over HTTP', () => {
  it('tells of the server and of the model', async () => {
    expect(json(await call(''))).toMatchObject({ name: 'segue', extensions: ['binary_tensor_data'] });
    expect(json(await call('/health/live'))).toEqual({ live: true });
    expect(json(await call('/health/ready'))).toEqual({ ready: true });
    const metadata = json(await call(MODEL));
    expect(metadata).toMatchObject({ name: 'tiny-random', inputs: expect.any(Array), outputs: expect.any(Array) });
    const [version] = metadata.versions as string[];
    expect(json(await call(`${MODEL}/versions/${version}/ready`))).toMatchObject({ ready: true });
    expect(await call(`${MODEL}/versions/9/ready`)).toMatchObject({ status: 404 });
  });

  it('answers with every output, as JSON', async () => {
    const image = (await photo()).toString('base64');
    const inputs = [bytes('image', image), bytes('instruction', 'Where is the cup?')];
    const body = json(await call(`${MODEL}/infer`, { id: 'mine', inputs }));
    const outputs = new Map(
      (body.outputs as { name: string; data: unknown[] }[]).map((output) => [output.name, output]),
    );
    expect(body).toMatchObject({ id: 'mine', model_name: 'tiny-random' });
    expect(outputs.get('text')).toMatchObject({ datatype: 'BYTES', shape: [1], data: [TEXT] });
    expect(outputs.get('phrases')?.data).toEqual(['the cup']);
    expect(outputs.get('spans')).toMatchObject({ shape: [1, 2], data: [6, 13] });
    expect(outputs.get('masks')).toMatchObject({ datatype: 'BOOL', shape: [1, HEIGHT, WIDTH] });
    expect(outputs.get('masks')?.data.slice(0, WIDTH)).toEqual([false, false, false, true, true, true]);
  });

  it('has no mask, and still a size, where there is nothing', async () => {
    fixture.stages.generate = async ({ writeText }) => {
      await writeText({ offset: 0, text: 'Nothing.' });
      const rest = { model: 'tiny-random@0.1.0', promptTokens: 9, tokens: 2, prefixCached: false };
      return { text: 'Nothing.', segments: 0, finishReason: 'stop', ...rest };
    };
    const { imageId } = await fixture.gateway.client.images.upload(await photo());
    const inputs = [bytes('image_id', imageId), bytes('instruction', 'Where is it?')];
    const outputs = [{ name: 'size' }, { name: 'masks' }];
    expect(json(await call(`${MODEL}/infer`, { inputs, outputs })).outputs).toMatchObject([
      { name: 'size', data: [HEIGHT, WIDTH] },
      { name: 'masks', shape: [0, HEIGHT, WIDTH], data: [] },
    ]);
  });

  it.each([
    ['an unknown input', { inputs: [bytes('prompt', 'x')] }, /no input of one of these names/],
    ['an unknown output', { inputs: [], outputs: [{ name: 'logits' }] }, /no output of this name/],
    ['another datatype', { inputs: [{ ...bytes('instruction', 'x'), datatype: 'INT8' }] }, /datatype BYTES/],
    ['no picture', { inputs: [bytes('instruction', 'x')] }, /picture's file/],
    ['values that are missing', { inputs: [{ ...bytes('instruction', 'x'), data: [] }] }, /must hold one text/],
  ])('refuses %s', async (_what, body, message) => {
    const refused = await call(`${MODEL}/infer`, body);
    expect(refused.status).toBe(400);
    expect(json(refused)).toMatchObject({ error: expect.stringMatching(message) });
  });

  it('takes a body that says nothing of its type, as a client of Triton sends it', async () => {
    const parts = [await photo(), Buffer.from('Where is the cup?')].map((bytes) => {
      const length = Buffer.alloc(4);
      length.writeUInt32LE(bytes.byteLength);
      return Buffer.concat([length, bytes]);
    });
    const inputs = ['image', 'instruction'].map((name, index) => {
      const parameters = { binary_data_size: parts[index]!.byteLength };
      return { name, datatype: 'BYTES', shape: [1], parameters };
    });
    const outputs = [{ name: 'masks', parameters: { binary_data: true } }];
    const head = Buffer.from(JSON.stringify({ inputs, outputs }));
    const headers = { 'inference-header-content-length': String(head.byteLength) };
    const response = await new Promise<IncomingMessage>((resolve, reject) => {
      const options = { method: 'POST', headers };
      httpRequest(`${fixture.gateway.url}/v2${MODEL}/infer`, options, resolve)
        .on('error', reject)
        .end(Buffer.concat([head, ...parts]));
    });
    const body = await buffer(response);
    const jsonBytes = Number(response.headers['inference-header-content-length']);
    expect(response.statusCode, body.toString()).toBe(200);
    expect(JSON.parse(body.subarray(0, jsonBytes).toString())).toMatchObject({ outputs: [{ name: 'masks' }] });
    expect([...body.subarray(jsonBytes, jsonBytes + WIDTH)]).toEqual([0, 0, 0, 1, 1, 1]);
  });

  it('refuses binary values whose lengths do not fit', async () => {
    const head = Buffer.from(JSON.stringify({ inputs: [] }));
    const body = Buffer.concat([head, Buffer.from('more')]);
    const type = { 'content-type': 'application/octet-stream' };
    const headers = { ...type, 'inference-header-content-length': String(head.byteLength) };
    expect(await call(`${MODEL}/infer`, body, headers)).toMatchObject({ status: 400 });
    expect(await call(`${MODEL}/infer`, body, { ...headers, 'inference-header-content-length': '999' })).toMatchObject({
      status: 400,
    });
    const elsewhere = await fetch(`${fixture.gateway.url}/v1/segment`, { method: 'POST', headers: type, body: 'x' });
    expect(elsewhere.status).toBe(415);
  });
});
