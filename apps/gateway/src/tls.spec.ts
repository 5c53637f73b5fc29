import { copyFile, readFile } from 'node:fs/promises';
import { request } from 'node:https';
import { Client, credentials } from '@grpc/grpc-js';
import { TestAuthority, type TestCertificate } from '@segue/testing';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { useGateway, type RunningGateway } from './gateway.fixture.js';

const fixture = useGateway();
let authority: TestAuthority;
let live: TestCertificate;
let ca: Buffer;
beforeAll(async () => {
  authority = await TestAuthority.create();
  live = await authority.issue();
  ca = await readFile(authority.caFile);
});
afterAll(() => authority.remove());

const start = () => fixture.startAnother({ SEGUE_TLS_CERT_FILE: live.certFile, SEGUE_TLS_KEY_FILE: live.keyFile });

/** Status over HTTP, on a connection of its own. */
function overHttp({ url }: RunningGateway, authorities?: Buffer): Promise<number | string> {
  const address = new URL('/v1/models', url.replace('http:', 'https:'));
  return new Promise((resolve) => {
    const call = request(address, { ca: authorities, agent: false }, (response) => {
      response.resume();
      resolve(response.statusCode ?? 0);
    });
    call.on('error', (error) => resolve((error as NodeJS.ErrnoException).code ?? error.message));
    call.end();
  });
}

/** Status of a call over gRPC, on a connection of its own. */
function overGrpc({ grpcAddress }: RunningGateway, authorities?: Buffer): Promise<number> {
  const client = new Client(grpcAddress, credentials.createSsl(authorities), { 'grpc.use_local_subchannel_pool': 1 });
  const bytes = (content: Buffer) => content;
  const deadline = Date.now() + 10_000;
  return new Promise<number>((resolve) =>
    client.makeUnaryRequest(
      '/segue.v1.SegmentationService/ListModels',
      bytes,
      bytes,
      Buffer.alloc(0),
      { deadline },
      (error) => resolve(error?.code ?? 0),
    ),
  ).finally(() => client.close());
}

it('serves both interfaces over TLS, to clients that know its authority', async () => {
  const gateway = await start();
  expect([await overHttp(gateway, ca), await overGrpc(gateway, ca)]).toEqual([200, 0]);
  expect(await overHttp(gateway)).toMatch(/UNABLE_TO|SELF_SIGNED/);
  expect(await overGrpc(gateway)).toBe(14);
  await expect(fetch(gateway.url.replace('https:', 'http:'))).rejects.toThrow();
});

it('takes a changed certificate without a restart', async () => {
  const elsewhere = await authority.issue({ names: ['DNS:elsewhere'] });
  const usual = { certFile: `${live.certFile}.old`, keyFile: `${live.keyFile}.old` };
  const put = async (from: TestCertificate) => {
    await copyFile(from.certFile, live.certFile);
    await copyFile(from.keyFile, live.keyFile);
  };
  await copyFile(live.certFile, usual.certFile);
  await copyFile(live.keyFile, usual.keyFile);
  const gateway = await start();
  expect(await overHttp(gateway, ca)).toBe(200);
  await put(elsewhere);
  await expect.poll(() => overHttp(gateway, ca), { timeout: 10_000 }).toBe('ERR_TLS_CERT_ALTNAME_INVALID');
  expect(await overGrpc(gateway, ca)).toBe(14);
  await put(usual);
  await expect.poll(() => overHttp(gateway, ca), { timeout: 10_000 }).toBe(200);
  expect(await overGrpc(gateway, ca)).toBe(0);
});

it('does not start with half a certificate, or with keys in the clear', async () => {
  await expect(fixture.create({ SEGUE_TLS_CERT_FILE: live.certFile })).rejects.toThrow('SEGUE_TLS_KEY_FILE');
  const other = await authority.issue();
  const mixed = { SEGUE_TLS_CERT_FILE: live.certFile, SEGUE_TLS_KEY_FILE: other.keyFile };
  await expect(fixture.create(mixed)).rejects.toThrow('cannot be used');
  const open = { SEGUE_HOST: '0.0.0.0', SEGUE_API_KEYS_FILE: '/keys.json' };
  await expect(fixture.create(open)).rejects.toThrow('SEGUE_ALLOW_PLAINTEXT');
});
