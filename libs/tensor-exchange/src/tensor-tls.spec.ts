import { copyFile } from 'node:fs/promises';
import { TestAuthority, type TestCertificate } from '@segue/testing';
import { followCertificates, grpcChannelCredentials, grpcServerCredentials } from '@segue/tls';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { TensorClient } from './tensor-client.js';
import { startTensorServer } from './tensor-server.js';
import { TensorStore } from './tensor-store.js';

let ours: TestAuthority;
let others: TestAuthority;
let server: TestCertificate;
let worker: TestCertificate;
beforeAll(async () => {
  [ours, others] = [await TestAuthority.create(), await TestAuthority.create()];
  [server, worker] = [await ours.issue(), await ours.issue({ names: ['DNS:worker'] })];
});
afterAll(() => Promise.all([ours.remove(), others.remove()]));

const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

async function follow(own: TestCertificate, { caFile }: TestAuthority) {
  const certificates = await followCertificates({ ...own, caFile }, { everyMs: 50, onError: () => undefined });
  closers.push(() => certificates.stop());
  return certificates;
}

async function serve(own: TestCertificate): Promise<string> {
  const store = new TensorStore({ maxBytes: 1 << 20 });
  store.put('k', { small: { dtype: 'uint8', shape: [3], data: new Uint8Array([1, 2, 3]) } });
  const credentials = grpcServerCredentials(await follow(own, ours));
  const started = await startTensorServer(store, { host: '127.0.0.1', port: 0, credentials, onError: () => undefined });
  closers.push(() => started.close({ graceMs: 0 }));
  return `127.0.0.1:${started.port}`;
}

function pull(owner: string, tls?: ReturnType<typeof grpcChannelCredentials>) {
  const client = new TensorClient({ tls, silenceMs: 2_000 });
  closers.push(() => client.close());
  return client.pull(owner, 'k', ['small'], { deadlineAtMs: Date.now() + 3_000 });
}

test('workers with certificates of the same authority hand tensors on', async () => {
  const owner = await serve(server);
  const { small } = await pull(owner, grpcChannelCredentials(await follow(worker, ours)));
  expect([...small.data]).toEqual([1, 2, 3]);
});

test('nobody else gets one', async () => {
  const owner = await serve(server);
  const gone = { code: 'UNAVAILABLE', reason: 'TENSOR_GONE' };
  await expect(pull(owner)).rejects.toMatchObject(gone);
  const foreign = await others.issue();
  await expect(pull(owner, grpcChannelCredentials(await follow(foreign, ours)))).rejects.toMatchObject(gone);
  const expired = await ours.issue({ days: -1 });
  await expect(pull(owner, grpcChannelCredentials(await follow(expired, ours)))).rejects.toMatchObject(gone);
});

test('nobody else gives one', async () => {
  const own = grpcChannelCredentials(await follow(worker, ours));
  const gone = { code: 'UNAVAILABLE', reason: 'TENSOR_GONE' };
  for (const wrong of [
    await others.issue(),
    await ours.issue({ days: -1 }),
    await ours.issue({ names: ['DNS:elsewhere', 'IP:192.0.2.1'] }),
  ]) {
    await expect(pull(await serve(wrong), own)).rejects.toMatchObject(gone);
  }
});

test('workers that are reached by changing addresses are known by a name', async () => {
  const owner = await serve(worker);
  const certificates = await follow(worker, ours);
  await expect(pull(owner, grpcChannelCredentials(certificates, { peerName: 'worker' }))).resolves.toBeDefined();
  await expect(pull(owner, grpcChannelCredentials(certificates, { peerName: 'server' }))).rejects.toBeDefined();
});

test('a changed certificate is used without a restart; one that does not fit its key is not', async () => {
  const live = await ours.issue({ names: ['IP:192.0.2.1'] });
  const owner = await serve(live);
  const certificates = await follow(worker, ours);
  const attempt = () =>
    pull(owner, grpcChannelCredentials(certificates)).then(
      () => 'pulled',
      () => 'refused',
    );
  expect(await attempt()).toBe('refused');
  await copyFile(server.keyFile, live.keyFile);
  await new Promise((resolve) => setTimeout(resolve, 200));
  expect(await attempt()).toBe('refused');
  await copyFile(server.certFile, live.certFile);
  await expect.poll(attempt, { timeout: 10_000 }).toBe('pulled');
});
