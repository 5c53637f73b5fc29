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

const startWith = ({ certFile, keyFile }: TestCertificate, settings = {}) =>
  fixture.startAnother({ SEGUE_TLS_CERT_FILE: certFile, SEGUE_TLS_KEY_FILE: keyFile, ...settings });
const start = () => startWith(live);

interface Shown {
  readonly cert: Buffer;
  readonly key: Buffer;
}

/** Status over HTTP, on a connection of its own. */
function overHttp({ url }: RunningGateway, authorities?: Buffer, shown?: Shown): Promise<number | string> {
  const address = new URL('/v1/models', url.replace('http:', 'https:'));
  return new Promise((resolve) => {
    const call = request(address, { ca: authorities, agent: false, ...shown }, (response) => {
      response.resume();
      resolve(response.statusCode ?? 0);
    });
    call.on('error', (error) => resolve((error as NodeJS.ErrnoException).code ?? error.message));
    call.end();
  });
}

/** Status of a call over gRPC, on a connection of its own. */
function overGrpc({ grpcAddress }: RunningGateway, authorities?: Buffer, shown?: Shown): Promise<number> {
  const secure = credentials.createSsl(authorities, shown?.key, shown?.cert);
  const client = new Client(grpcAddress, secure, { 'grpc.use_local_subchannel_pool': 1 });
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

it('is not believed with a certificate that has expired', async () => {
  const gateway = await startWith(await authority.issue({ days: -1 }));
  expect([await overHttp(gateway, ca), await overGrpc(gateway, ca)]).toEqual(['CERT_HAS_EXPIRED', 14]);
});

it('lets nobody in without a certificate of the authority that it names for clients', async () => {
  const clients = await TestAuthority.create();
  const gateway = await startWith(live, { SEGUE_TLS_CLIENT_CA_FILE: clients.caFile });
  const shown = async ({ certFile, keyFile }: TestCertificate): Promise<Shown> => {
    const [cert, key] = await Promise.all([readFile(certFile), readFile(keyFile)]);
    return { cert, key };
  };
  const good = await shown(await clients.issue());
  expect([await overHttp(gateway, ca, good), await overGrpc(gateway, ca, good)]).toEqual([200, 0]);
  for (const [what, certificate] of [
    ['none', undefined],
    ['of another authority', await shown(live)],
    ['expired', await shown(await clients.issue({ days: -1 }))],
  ] as const) {
    expect(await overHttp(gateway, ca, certificate), what).toMatch(/ECONNRESET|EPIPE|ERR_SSL_|alert/);
    expect(await overGrpc(gateway, ca, certificate), what).toBe(14);
  }
  await clients.remove();
});

it('does not start with half a certificate, or with keys in the clear', async () => {
  await expect(fixture.create({ SEGUE_TLS_CERT_FILE: live.certFile })).rejects.toThrow('SEGUE_TLS_KEY_FILE');
  const forClients = { SEGUE_TLS_CLIENT_CA_FILE: authority.caFile };
  await expect(fixture.create(forClients)).rejects.toThrow('SEGUE_TLS_CERT_FILE and SEGUE_TLS_KEY_FILE');
  const other = await authority.issue();
  const mixed = { SEGUE_TLS_CERT_FILE: live.certFile, SEGUE_TLS_KEY_FILE: other.keyFile };
  await expect(fixture.create(mixed)).rejects.toThrow('cannot be used');
  const open = { SEGUE_HOST: '0.0.0.0', SEGUE_API_KEYS_FILE: '/keys.json' };
  await expect(fixture.create(open)).rejects.toThrow('SEGUE_ALLOW_PLAINTEXT');
});
