import { Client, credentials } from '@grpc/grpc-js';
import { createServer, type AddressInfo, type Socket } from 'node:net';

import type { TensorSet } from '@segue/stages';
import type { Tensor } from '@segue/tensors';
import { afterEach, expect, test } from 'vitest';

import { TensorClient, type TensorClientOptions } from './tensor-client.js';
import { startTensorServer, type TensorServer } from './tensor-server.js';
import { TensorStore } from './tensor-store.js';

const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

const errors: unknown[] = [];
const ramp: Tensor = {
  dtype: 'float32',
  shape: [1, 3_000_000],
  data: Float32Array.from({ length: 3_000_000 }, (_, i) => i),
};
const small: Tensor = { dtype: 'uint8', shape: [3], data: new Uint8Array([1, 2, 3]) };
const LARGE_BYTES = 64 << 20;
const large: Tensor = { dtype: 'uint8', shape: [LARGE_BYTES], data: new Uint8Array(LARGE_BYTES) };
const soon = () => Date.now() + 10_000;

async function serve(store: TensorStore, port = 0): Promise<TensorServer & { owner: string }> {
  const server = await startTensorServer(store, { host: '127.0.0.1', port, onError: (error) => errors.push(error) });
  closers.push(() => server.close({ graceMs: 0 }));
  return { ...server, owner: `127.0.0.1:${server.port}` };
}

/** Tells when somebody begins to pull its set `k`. */
class WatchedStore extends TensorStore {
  #tell: () => void = () => undefined;
  readonly asked = new Promise<void>((resolve) => (this.#tell = resolve));

  constructor(tensors: Record<string, Tensor>) {
    super({ maxBytes: 1 << 30 });
    this.put('k', tensors);
  }

  override get(key: string): TensorSet | undefined {
    this.#tell();
    return super.get(key);
  }
}

function storeWith(tensors: Record<string, Tensor>): TensorStore {
  const store = new TensorStore({ maxBytes: 1 << 30 });
  store.put('k', tensors);
  return store;
}

function client(options: TensorClientOptions = {}): TensorClient {
  const made = new TensorClient(options);
  closers.push(() => made.close());
  return made;
}

function dropsInto(list: unknown[]): TensorClientOptions {
  return {
    directory: {
      drop: (key, owner) => {
        list.push([key, owner]);
        return Promise.resolve();
      },
    },
  };
}

test('tensors of many chunks arrive whole, side by side', async () => {
  const pulled: string[] = [];
  const { owner } = await serve(storeWith({ ramp, small }));
  const tensors = await client({ onPulled: ({ name, bytes }) => pulled.push(`${name} ${bytes}`) }).pull(
    owner,
    'k',
    ['ramp', 'small'],
    {
      deadlineAtMs: soon(),
    },
  );
  expect(tensors.small).toEqual(small);
  expect(tensors.ramp.shape).toEqual([1, 3_000_000]);
  expect(Buffer.compare(Buffer.from(tensors.ramp.data.buffer), Buffer.from(ramp.data.buffer))).toBe(0);
  expect(pulled.sort()).toEqual(['ramp 12000000', 'small 3']);
});

test.each<[string, string, string]>([
  ['an unknown set', 'other', 'ramp'],
  ['an unknown name', 'k', 'other'],
  ['the name "__proto__"', 'k', '__proto__'],
  ['the name "constructor"', 'k', 'constructor'],
  ['the name "toString"', 'k', 'toString'],
  ['no name', 'k', ''],
])('%s is gone', async (_, key, name) => {
  const drops: unknown[] = [];
  const { owner } = await serve(storeWith({ ramp }));
  const pulling = client(dropsInto(drops)).pull(owner, key, [name], { deadlineAtMs: soon() });
  await expect(pulling).rejects.toMatchObject({ code: 'UNAVAILABLE', reason: 'TENSOR_GONE' });
  expect(drops).toEqual([[key, owner]]);
});

test('an owner that is not there is gone, at once', async () => {
  const { owner, close } = await serve(storeWith({ ramp }));
  await close({ graceMs: 0 });
  const start = Date.now();
  await expect(client().pull(owner, 'k', ['ramp'], { deadlineAtMs: soon() })).rejects.toMatchObject({
    reason: 'TENSOR_GONE',
  });
  expect(Date.now() - start).toBeLessThan(2_000);
});

test('an owner that dies in the middle is gone, and found again when it is back', async () => {
  const store = new WatchedStore({ large, small });
  const { owner, port, close } = await serve(store);
  const puller = client();
  const pulling = puller.pull(owner, 'k', ['large'], { deadlineAtMs: soon() });
  await store.asked;
  const [outcome] = await Promise.allSettled([pulling, close({ graceMs: 0 })]);
  expect(outcome).toMatchObject({ status: 'rejected', reason: { reason: 'TENSOR_GONE' } });
  await expect(puller.pull(owner, 'k', ['small'], { deadlineAtMs: soon() })).rejects.toMatchObject({
    reason: 'TENSOR_GONE',
  });
  await serve(storeWith({ small }), port);
  expect((await puller.pull(owner, 'k', ['small'], { deadlineAtMs: soon() })).small).toEqual(small);
});

test('an owner that falls silent is gone', async () => {
  const sockets: Socket[] = [];
  const silent = createServer((socket) => sockets.push(socket));
  await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
  closers.push(() => {
    for (const socket of sockets) socket.destroy();
    silent.close();
  });
  const owner = `127.0.0.1:${(silent.address() as AddressInfo).port}`;
  const start = Date.now();
  const pulling = client({ silenceMs: 200 }).pull(owner, 'k', ['ramp'], { deadlineAtMs: soon() });
  await expect(pulling).rejects.toMatchObject({ reason: 'TENSOR_GONE' });
  expect(Date.now() - start).toBeLessThan(2_000);
});

test('the deadline and the signal end a pull, and the owner is not to blame', async () => {
  const drops: unknown[] = [];
  const { owner } = await serve(storeWith({ ramp }));
  const puller = client(dropsInto(drops));
  await expect(puller.pull(owner, 'k', ['ramp'], { deadlineAtMs: Date.now() - 1 })).rejects.toMatchObject({
    code: 'DEADLINE_EXCEEDED',
  });
  const cancel = new AbortController();
  const reason = new Error('cancelled');
  const pulling = puller.pull(owner, 'k', ['ramp'], { deadlineAtMs: soon(), signal: cancel.signal });
  cancel.abort(reason);
  await expect(pulling).rejects.toBe(reason);
  await expect(puller.pull(owner, 'k', ['ramp'], { deadlineAtMs: soon(), signal: cancel.signal })).rejects.toBe(reason);
  expect(drops).toEqual([]);
  expect(errors).toEqual([]);
});

test('closing lets a pull end within the grace', async () => {
  const store = new WatchedStore({ large });
  const { owner, close } = await serve(store);
  const pulling = client().pull(owner, 'k', ['large'], { deadlineAtMs: soon() });
  await store.asked;
  await close({ graceMs: 5_000 });
  expect((await pulling).large.shape).toEqual([LARGE_BYTES]);
});

test('bytes that are no message are refused as such', async () => {
  const { owner } = await serve(storeWith({ small }));
  const raw = new Client(owner, credentials.createInsecure());
  closers.push(() => raw.close());
  const bytes = (content: Buffer) => content;
  const call = raw.makeServerStreamRequest('/segue.v1.TensorService/Pull', bytes, bytes, Buffer.from('no message'));
  const refused = (async () => {
    for await (const chunk of call) void chunk;
  })();
  await expect(refused).rejects.toMatchObject({ code: 3 });
});
