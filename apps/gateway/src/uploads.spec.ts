import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { connect as connectHttp2, type ClientHttp2Stream } from 'node:http2';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Code } from '@connectrpc/connect';
import { afterEach, describe, expect, it } from 'vitest';
import { digestOfKey, newApiKey } from './access/api-key.js';
import { photo, TEXT, useGateway, type RunningGateway } from './gateway.fixture.js';
import { SCHEMAS } from './http/schemas.js';

const fixture = useGateway();
const ends: (() => void)[] = [];
afterEach(() => ends.splice(0).forEach((end) => end()));

/** Begins a request over HTTP and sends no more of it than these bytes. */
function beginHttp({ url }: RunningGateway, length: number, sent: Buffer, headers = ''): Socket {
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname);
  ends.push(() => socket.destroy());
  socket.on('error', () => undefined);
  socket.write(
    `POST /v1/segment HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n${headers}Content-Length: ${length}\r\n\r\n`,
  );
  socket.write(sent);
  return socket;
}

/** The same over gRPC. */
function beginGrpc({ grpcAddress }: RunningGateway, length: number, sent: Buffer): ClientHttp2Stream {
  const session = connectHttp2(`http://${grpcAddress}`);
  ends.push(() => session.destroy());
  const stream = session.request({
    ':method': 'POST',
    ':path': '/segue.v1.SegmentationService/Segment',
    'content-type': 'application/grpc',
    te: 'trailers',
  });
  const prefix = Buffer.alloc(5);
  prefix.writeUInt32BE(length, 1);
  stream.write(Buffer.concat([prefix, sent]));
  return stream;
}

/** A picture that is none, of 200 kB, as both interfaces answer it. */
const statusOverHttp = async ({ url }: RunningGateway, headers: Record<string, string> = {}) =>
  (
    await fetch(`${url}/v1/images`, {
      method: 'POST',
      body: new Uint8Array(200_000),
      headers: { 'content-type': 'multipart/form-data; boundary=xx', ...headers },
    })
  ).status;
const statusOverGrpc = ({ grpc }: RunningGateway) =>
  grpc
    .segment({ picture: { case: 'image', value: Buffer.alloc(200_000) }, instruction: 'Where is the cup?' })
    .then(() => 0)
    .catch(({ code }: { readonly code: Code }) => code);

describe('bytes that are held', () => {
  it.each(['HTTP', 'gRPC'])('over %s leave as much less room for those of both interfaces', async (by) => {
    const gateway = await fixture.startAnother({ SEGUE_MAX_UPLOAD_BYTES_HELD: '1000000' });
    const begin = by === 'HTTP' ? beginHttp : beginGrpc;
    const slow = begin(gateway, 1_000_000, Buffer.alloc(900_000));
    slow.on('error', () => undefined);
    await expect.poll(() => statusOverHttp(gateway), { timeout: 10_000 }).toBe(429);
    await expect.poll(() => statusOverGrpc(gateway), { timeout: 10_000 }).toBe(Code.ResourceExhausted);
    slow.destroy();
    await expect.poll(() => statusOverHttp(gateway), { timeout: 10_000 }).toBe(400);
    await expect.poll(() => statusOverGrpc(gateway), { timeout: 10_000 }).toBe(Code.InvalidArgument);
  });

  it('of one tenant are bounded where it has a limit, and leave another its room', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'segue-keys-'));
    const file = join(folder, 'keys.json');
    const [acme, bolt] = [newApiKey(), newApiKey()];
    const keys = (key: string) => ({
      limits: { uploadBytes: 1_000_000 },
      keys: [{ name: 'k', sha256: digestOfKey(key) }],
    });
    await writeFile(file, JSON.stringify({ tenants: { acme: keys(acme), bolt: keys(bolt) } }));
    const gateway = await fixture.startAnother({ SEGUE_API_KEYS_FILE: file });
    const status = (key: string) => statusOverHttp(gateway, { authorization: `Bearer ${key}` });
    const slow = beginHttp(gateway, 900_000, Buffer.from('{'), `Authorization: Bearer ${acme}\r\n`);
    await expect.poll(() => status(acme), { timeout: 10_000 }).toBe(429);
    expect(await status(bolt)).toBe(400);
    slow.destroy();
    await expect.poll(() => status(acme), { timeout: 10_000 }).toBe(400);
    await rm(folder, { recursive: true });
  });
});

describe('a request that is sent a byte at a time', () => {
  const settings = { SEGUE_UPLOAD_TIMEOUT_MS: '1500' };

  it('is 408 over HTTP when its time is over', async () => {
    const gateway = await fixture.startAnother(settings);
    const socket = beginHttp(gateway, 1_000, Buffer.from('{'));
    const drip = setInterval(() => socket.write(' '), 200);
    const answer = await new Promise<string>((resolve) => {
      let text = '';
      socket.on('data', (data: Buffer) => (text += data.toString()));
      socket.on('close', () => resolve(text));
    });
    clearInterval(drip);
    const [head = '', body = ''] = answer.split('\r\n\r\n');
    expect(head).toMatch(/^HTTP\/1.1 408 /);
    expect(SCHEMAS.Problem.parse(JSON.parse(body))).toMatchObject({ code: 'DEADLINE_EXCEEDED', status: 408 });
  });

  it('is DEADLINE_EXCEEDED over gRPC', async () => {
    const gateway = await fixture.startAnother(settings);
    const stream = beginGrpc(gateway, 1_000, Buffer.alloc(1));
    const drip = setInterval(() => stream.write(Buffer.alloc(1)), 200);
    const status = await new Promise((resolve) => {
      stream.on('response', (headers) => resolve(headers['grpc-status']));
      stream.on('error', resolve);
    });
    clearInterval(drip);
    expect(status).toBe(String(Code.DeadlineExceeded));
  });

  it('is no answer that takes long', async () => {
    const gateway = await fixture.startAnother(settings);
    const { encode } = fixture.stages;
    fixture.stages.encode = async (context) => {
      await sleep(3_000);
      return encode(context);
    };
    const instruction = 'Where is the cup?';
    const [overHttp, overGrpc] = await Promise.all([
      gateway.client.segment({ image: await photo(), instruction }),
      gateway.grpc.segment({ picture: { case: 'image', value: await photo('jpeg') }, instruction }),
    ]);
    expect([overHttp.text, overGrpc.text]).toEqual([TEXT, TEXT]);
  });
});

it('closes connections beyond the most that may be open', async () => {
  const gateway = await fixture.startAnother({ SEGUE_MAX_CONNECTIONS: '2' });
  const open = [1, 2].map(() => beginHttp(gateway, 10, Buffer.from('{')));
  const { hostname, port } = new URL(gateway.url);
  const closed = () =>
    new Promise<boolean>((resolve) => {
      const third = connect(Number(port), hostname);
      third.on('error', () => resolve(true));
      third.on('close', () => resolve(true));
      third.on('data', () => {
        third.destroy();
        resolve(false);
      });
      third.write('GET /healthz/live HTTP/1.1\r\nHost: x\r\n\r\n');
    });
  expect(await closed()).toBe(true);
  open[0]?.destroy();
  await expect.poll(closed, { timeout: 10_000 }).toBe(false);
});

it('lets calls on one connection over gRPC wait for each other beyond the most that may be open', async () => {
  const gateway = await fixture.startAnother({ SEGUE_MAX_STREAMS_PER_CONNECTION: '2' });
  const session = connectHttp2(`http://${gateway.grpcAddress}`);
  ends.push(() => session.destroy());
  await expect.poll(() => session.remoteSettings.maxConcurrentStreams, { timeout: 10_000 }).toBe(2);
});
