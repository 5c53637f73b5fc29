import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Code, type ConnectError } from '@connectrpc/connect';
import { Client, credentials } from '@grpc/grpc-js';
import { RetryInfoSchema } from '@segue/contracts';
import { SegueClient } from '@segue/client';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { photo, TEXT, until, useGateway, type RunningGateway } from '../gateway.fixture.js';
import { digestOfKey, newApiKey } from './api-key.js';
import type { KeyringFile } from './keyring.js';

const fixture = useGateway();
let folder: string;
let file: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'segue-keys-'));
  file = join(folder, 'keys.json');
});
afterEach(() => rm(folder, { recursive: true }));

const [ACME, BOLT] = [newApiKey(), newApiKey()];
type Limits = KeyringFile['tenants'][string]['limits'];

async function writeKeys(keys: Record<string, readonly string[]>, limits: Limits = {}, expires?: string) {
  const tenants = Object.fromEntries(
    Object.entries(keys).map(([tenant, own]) => [
      tenant,
      { limits, keys: own.map((key, i) => ({ name: `k${i}`, sha256: digestOfKey(key), ...(expires && { expires }) })) },
    ]),
  );
  // As a Secret changes: all at once.
  await writeFile(`${file}.new`, JSON.stringify({ tenants }));
  await rename(`${file}.new`, file);
}

async function start(limits: Limits = {}, variables: Record<string, string> = {}): Promise<RunningGateway> {
  await writeKeys({ acme: [ACME], bolt: [BOLT] }, limits);
  return fixture.startAnother({ SEGUE_API_KEYS_FILE: file, ...variables });
}

const bearer = (key: string) => ({ authorization: `Bearer ${key}` });
const clientOf = ({ url }: RunningGateway, key: string) =>
  new SegueClient({ baseUrl: url, retries: 0, headers: bearer(key) });
const QUESTION = 'Where is the cup?';

async function overGrpc({ grpc }: RunningGateway, key: string | undefined) {
  const picture = { case: 'image' as const, value: await photo() };
  return grpc.segment({ picture, instruction: QUESTION }, key === undefined ? {} : { headers: bearer(key) });
}

describe('a service with keys', () => {
  it('asks everybody for one, however the address is written', async () => {
    const gateway = await start();
    const paths = ['/v1/models', '/%76%31/models', '/v1/jobs/x', '/v1/jobs/x/events', '/v1/images/x', '/v1/models?a=1'];
    for (const path of paths) {
      const response = await fetch(`${gateway.url}${path}`);
      expect([path, response.status, response.headers.get('www-authenticate')]).toEqual([path, 401, 'Bearer']);
    }
    for (const path of ['/v1/segment', '/v1/jobs', '/v1/images']) {
      expect((await fetch(`${gateway.url}${path}`, { method: 'POST', body: 'x' })).status).toBe(401);
    }
    expect((await fetch(`${gateway.url}/v1/models`, { headers: bearer(newApiKey()) })).status).toBe(401);
    expect((await fetch(`${gateway.url}/v1/models`, { headers: { authorization: `Basic ${ACME}` } })).status).toBe(401);
    expect((await fetch(`${gateway.url}/v1/models`, { headers: bearer(ACME) })).status).toBe(200);
    for (const path of ['/healthz/live', '/healthz/ready']) {
      expect([path, (await fetch(`${gateway.url}${path}`)).status]).toEqual([path, 200]);
    }
    await expect(overGrpc(gateway, undefined)).rejects.toMatchObject({ code: Code.Unauthenticated });
    await expect(overGrpc(gateway, newApiKey())).rejects.toMatchObject({ code: Code.Unauthenticated });
    expect(await overGrpc(gateway, ACME)).toMatchObject({ text: TEXT });
  });

  it('asks at every door but health, the page and what describes the API', { timeout: 60_000 }, async () => {
    await writeKeys({ acme: [ACME] });
    const { service } = await fixture.create({ SEGUE_API_KEYS_FILE: file, SEGUE_API_DOCS: 'public' });
    const doors: { readonly method: string; readonly path: string }[] = [];
    const fastify = service.app.getHttpAdapter().getInstance();
    fastify.addHook('onRoute', ({ method, url: path }) => {
      for (const one of [method].flat()) doors.push({ method: one, path });
    });
    const url = await service.start();
    const open = new Set<string>();
    for (const { method, path } of doors) {
      const { status } = await fetch(`${url}${path}`, { method });
      if (status !== 401) open.add(path);
    }
    await service.close();
    const meant =
      /^\/((index\.html|icon\.svg|assets\/.+)?|examples\/.+|docs(\/.*|-yaml)?|openapi\.json|healthz\/(live|ready))$/;
    expect([...open].filter((path) => !meant.test(path))).toEqual([]);
    // Those that are hidden in the description of the API are doors too.
    expect(doors.map(({ path }) => path)).toEqual(
      expect.arrayContaining(['/v1/files/:id/content', '/v2/models/:model/infer', '/cvat', '/label-studio/predict']),
    );
  });

  it('refuses a stranger over gRPC before it has read what he sends', async () => {
    const { grpcAddress } = await start();
    const stranger = new Client(grpcAddress, credentials.createInsecure());
    const bytes = (content: Buffer) => content;
    const status = await new Promise((resolve) =>
      stranger.makeUnaryRequest(
        '/segue.v1.SegmentationService/Segment',
        bytes,
        bytes,
        Buffer.alloc(20 * 1024 * 1024),
        (error) => resolve(error?.code),
      ),
    );
    stranger.close();
    expect(status).toBe(Code.Unauthenticated);
  });

  it('follows its file without a restart, and keeps the keys when it cannot be read', async () => {
    const gateway = await start();
    const [fresh, models] = [newApiKey(), `${gateway.url}/v1/models`];
    const status = async (key: string) => (await fetch(models, { headers: bearer(key) })).status;
    await writeKeys({ acme: [ACME, fresh] });
    await expect.poll(() => status(fresh), { timeout: 5_000 }).toBe(200);
    expect([await status(ACME), await status(BOLT)]).toEqual([200, 401]);
    await writeFile(file, '{"tenants": {"acme": {"keys": "all"}}}');
    await new Promise((resolve) => setTimeout(resolve, 1_500));
    expect(await status(fresh)).toBe(200);
    await writeKeys({ acme: [fresh] }, {}, new Date(Date.now() - 1_000).toISOString());
    await expect.poll(() => status(fresh), { timeout: 5_000 }).toBe(401);
  });

  it('may let others in as the public tenant', async () => {
    const gateway = await start({}, { SEGUE_ALLOW_ANONYMOUS: 'true' });
    expect(await overGrpc(gateway, undefined)).toMatchObject({ text: TEXT });
    await expect(overGrpc(gateway, newApiKey())).rejects.toMatchObject({ code: Code.Unauthenticated });
  });
});

describe('what a tenant has', () => {
  it('is not there for another one', async () => {
    const gateway = await start();
    const [acme, bolt] = [clientOf(gateway, ACME), clientOf(gateway, BOLT)];
    const { jobId, imageId } = await acme.segment({ image: await photo(), instruction: QUESTION });
    const unknown = 'f'.repeat(32);
    const asked = async (path: string, method = 'GET') => {
      const response = await fetch(`${gateway.url}${path}`, { method, headers: bearer(BOLT) });
      const { detail } = (await response.json()) as { detail: string };
      return [response.status, detail];
    };
    for (const path of ['', '/events', '/segments/0.png']) {
      const theirs = await asked(`/v1/jobs/${jobId}${path}`);
      expect(theirs).toEqual(await asked(`/v1/jobs/${unknown}${path}`));
      expect(theirs[0]).toBe(404);
    }
    expect((await asked(`/v1/jobs/${jobId}`, 'DELETE'))[0]).toBe(404);
    expect((await asked(`/v1/images/${imageId}`))[0]).toBe(404);
    await expect(bolt.segment({ imageId, instruction: QUESTION })).rejects.toMatchObject({ code: 'NOT_FOUND' });
    for (const call of [
      gateway.grpc.getJob({ jobId }, { headers: bearer(BOLT) }),
      gateway.grpc.cancelJob({ jobId }, { headers: bearer(BOLT) }),
    ]) {
      await expect(call).rejects.toMatchObject({ code: Code.NotFound });
    }
    await expect(
      (async () => {
        for await (const event of gateway.grpc.watchJob({ jobId }, { headers: bearer(BOLT) })) void event;
      })(),
    ).rejects.toMatchObject({ code: Code.NotFound });
    expect((await acme.jobs.get(jobId)).state).toBe('completed');
    expect(await acme.segment({ imageId, instruction: QUESTION })).toMatchObject({ text: TEXT });
  });

  it('does not show in how its picture is answered to another one', async () => {
    const gateway = await start();
    const encoded: string[] = [];
    const { encode } = fixture.stages;
    fixture.stages.encode = (context) => {
      encoded.push(context.request.imageId);
      return encode(context);
    };
    const image = await photo();
    const ids = [];
    for (const key of [ACME, BOLT]) {
      ids.push((await clientOf(gateway, key).segment({ image, instruction: QUESTION })).imageId);
    }
    expect(new Set(ids).size).toBe(2);
    expect(new Set(encoded).size).toBe(2);
  });

  it('is not there for another one at the doors of other protocols either', async () => {
    const { url } = await start();
    const ask = async (key: string, method: string, path: string, body?: object | FormData) => {
      const json = body && !(body instanceof FormData);
      const headers = { ...bearer(key), ...(json && { 'content-type': 'application/json' }) };
      const sent = json ? JSON.stringify(body) : (body as FormData | undefined);
      const response = await fetch(`${url}${path}`, { method, headers, ...(sent && { body: sent }) });
      return { status: response.status, body: (await response.json()) as Record<string, string & object[]> };
    };
    const { imageId, jobId } = await clientOf({ url } as RunningGateway, ACME).segment({
      image: await photo(),
      instruction: QUESTION,
    });

    const chat = (image: string) => {
      const content = [
        { type: 'text', text: QUESTION },
        { type: 'image_url', image_url: { url: `segue:${image}` } },
      ];
      return { model: 'tiny-random', messages: [{ role: 'user', content }] };
    };
    const bytes = (name: string, value: string) => ({ name, datatype: 'BYTES', shape: [1], data: [value] });
    const infer = (image: string) => ({ inputs: [bytes('image_id', image), bytes('instruction', QUESTION)] });
    const form = new FormData();
    const line = { custom_id: 'a', method: 'POST', url: '/v1/chat/completions', body: chat(imageId) };
    form.set('purpose', 'batch');
    form.set('file', new File([JSON.stringify(line)], 'q.jsonl'));
    const file = (await ask(ACME, 'POST', '/v1/files', form)).body.id!;
    const batchOf = (inputFile: string) => ({ input_file_id: inputFile, endpoint: '/v1/chat/completions' });
    const batch = (await ask(ACME, 'POST', '/v1/batches', batchOf(file))).body.id!;

    const none = 'f'.repeat(64);
    const doors: [method: string, path: (id: string) => string, own: string, body?: (id: string) => object][] = [
      ['POST', () => '/v1/chat/completions', imageId, chat],
      ['POST', () => '/v2/models/tiny-random/infer', imageId, infer],
      ['GET', (id) => `/v1/files/${id}`, file],
      ['POST', () => '/v1/batches', file, batchOf],
      ['GET', (id) => `/v1/batches/${id}`, batch],
    ];
    for (const [method, path, own, body] of doors) {
      expect((await ask(ACME, method, path(own), body?.(own))).status, path(own)).toBe(200);
      const theirs = await ask(BOLT, method, path(own), body?.(own));
      expect(theirs, path(own)).toEqual(await ask(BOLT, method, path(none), body?.(none)));
      expect(theirs.status, path(own)).toBe(404);
    }
    for (const path of [`/v1/files/${file}/content`, `/v1/files/file-${batch}-output/content`]) {
      expect((await ask(BOLT, 'GET', path)).status, path).toBe(404);
    }
    expect((await ask(BOLT, 'POST', `/v1/batches/${batch}/cancel`)).status).toBe(404);

    expect((await ask(BOLT, 'GET', '/v1/batches')).body.data).toEqual([]);
    expect((await ask(BOLT, 'GET', '/v1/jobs')).body.jobs).toEqual([]);
    expect((await ask(BOLT, 'GET', '/v1/usage')).body).toMatchObject({ jobs: 0 });
    const jobs = (await ask(ACME, 'GET', '/v1/jobs')).body.jobs as unknown as { job_id: string }[];
    expect(jobs.map(({ job_id }) => job_id)).toContain(jobId);
    expect((await ask(ACME, 'GET', '/v1/batches')).body.data).toHaveLength(2);
  });

  it('stays apart under the same idempotency key', async () => {
    const gateway = await start();
    const image = await photo();
    const submit = (key: string, instruction: string) =>
      clientOf(gateway, key).jobs.submit({ image, instruction, idempotencyKey: 'invoice-2026-001' });
    const [ours, theirs] = [await submit(ACME, QUESTION), await submit(BOLT, 'Something else?')];
    expect(ours.jobId).not.toBe(theirs.jobId);
    expect((await submit(ACME, QUESTION)).jobId).toBe(ours.jobId);
  });
});

describe('limits', () => {
  it('bound how often a tenant asks, over both interfaces, and say when the next request may come', async () => {
    const gateway = await start({ requestsPerMinute: 60, burst: 2 });
    const headers = { ...bearer(ACME), 'content-type': 'application/json' };
    const body = JSON.stringify({ image: (await photo()).toString('base64'), instruction: QUESTION });
    const ask = () => fetch(`${gateway.url}/v1/segment`, { method: 'POST', headers, body });
    const answers = await Promise.all([ask(), ask(), ask()]);
    const refused = answers.find(({ status }) => status === 429);
    expect(refused?.headers.get('retry-after')).toBe('1');
    const error = (await overGrpc(gateway, ACME).catch((thrown: unknown) => thrown)) as ConnectError;
    expect(error.code).toBe(Code.ResourceExhausted);
    expect(error.findDetails(RetryInfoSchema)).toHaveLength(1);
    expect(await overGrpc(gateway, BOLT)).toMatchObject({ text: TEXT });
    await expect.poll(async () => (await ask()).status, { timeout: 5_000, interval: 500 }).toBe(200);
  });

  it('bound the jobs that a tenant has open, but refuse no retry', async () => {
    const gateway = await start({ openJobs: 2 });
    fixture.stages.generate = (context) => until(context.signal);
    const client = clientOf(gateway, ACME);
    const image = await photo();
    const submit = (key: string) => client.jobs.submit({ image, instruction: QUESTION, idempotencyKey: key });
    const [first] = [await submit('a'), await submit('b')];
    await expect(submit('c')).rejects.toMatchObject({ code: 'RESOURCE_EXHAUSTED', retryAfterMs: expect.any(Number) });
    expect((await submit('a')).jobId).toBe(first.jobId);
    const other = await clientOf(gateway, BOLT).jobs.submit({ image, instruction: QUESTION });
    await client.jobs.cancel(first.jobId);
    const third = await submit('c');
    for (const { jobId } of [third, await submit('b')]) await client.jobs.cancel(jobId);
    await clientOf(gateway, BOLT).jobs.cancel(other.jobId);
  });

  it('bound the event streams that a tenant has open, over both interfaces', async () => {
    const gateway = await start({ openStreams: 1 });
    fixture.stages.generate = (context) => until(context.signal);
    const [acme, bolt] = [clientOf(gateway, ACME), clientOf(gateway, BOLT)];
    const question = { image: await photo(), instruction: QUESTION };
    const { jobId } = await acme.jobs.submit(question);
    const refusal = { code: 'RESOURCE_EXHAUSTED', retryAfterMs: expect.any(Number) as number };
    const over = { code: Code.ResourceExhausted };
    for await (const event of acme.jobs.watch(jobId)) {
      expect(event.type).toBe('accepted');
      await expect(acme.jobs.watch(jobId).next()).rejects.toMatchObject(refusal);
      await expect(acme.stream(question).next()).rejects.toMatchObject(refusal);
      const watching = gateway.grpc.watchJob({ jobId }, { headers: bearer(ACME) });
      await expect(watching[Symbol.asyncIterator]().next()).rejects.toMatchObject(over);
      for await (const { type } of bolt.stream(question)) {
        expect(type).toBe('accepted');
        break;
      }
      break;
    }
    const again = async () => {
      for await (const { type } of acme.jobs.watch(jobId)) return type;
    };
    await expect.poll(() => again().catch(() => 'refused'), { timeout: 10_000 }).toBe('accepted');
    await acme.jobs.cancel(jobId);
  });

  it('bound the bytes of pictures that a tenant keeps', async () => {
    const image = await photo('png', 200, 200);
    const gateway = await start({ pictureBytes: image.byteLength + 100 });
    const [acme, bolt] = [clientOf(gateway, ACME), clientOf(gateway, BOLT)];
    await acme.segment({ image, instruction: QUESTION });
    await acme.segment({ image, instruction: QUESTION });
    const other = await photo('png', 210, 200);
    await expect(acme.segment({ image: other, instruction: QUESTION })).rejects.toMatchObject({
      code: 'RESOURCE_EXHAUSTED',
      retryAfterMs: expect.any(Number),
    });
    expect(await bolt.segment({ image, instruction: QUESTION })).toMatchObject({ text: TEXT });
  });
});

describe('without keys', () => {
  it('nothing is open to a network unless that is said', async () => {
    const open = (variables: Record<string, string>) =>
      fixture.create(variables).then(({ service }) => service.close());
    await expect(open({ SEGUE_HOST: '0.0.0.0' })).rejects.toThrow('SEGUE_API_KEYS_FILE');
    await expect(open({ SEGUE_HOST: '::' })).rejects.toThrow('SEGUE_ALLOW_ANONYMOUS');
  });

  it('a file that holds none that can be read is an error at the start', async () => {
    await writeFile(file, '{"tenants": {"Acme!": {}}}');
    await expect(fixture.create({ SEGUE_API_KEYS_FILE: file })).rejects.toThrow('must be corrected');
  });
});
