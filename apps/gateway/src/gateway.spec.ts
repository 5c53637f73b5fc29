import { Agent, request } from 'node:http';
import { serverSentEvents } from '@segue/client';
import { RedisServer } from '@segue/local-system';
import { describe, expect, it } from 'vitest';
import { collect, fillMemory, hold, photo, TEXT, until, useGateway } from './gateway.fixture.js';

const fixture = useGateway();

async function question() {
  return { image: await photo(), instruction: 'Where is the cup?' };
}

async function overGrpc() {
  const { image, instruction } = await question();
  return { picture: { case: 'image' as const, value: image }, instruction };
}

async function ask(url: string): Promise<Response> {
  const { image, instruction } = await question();
  return fetch(`${url}/v1/segment`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ image: image.toString('base64'), instruction }),
  });
}

describe('work that would only wait', () => {
  it('is refused while too many jobs are open, and says when to come back', async () => {
    const gateway = await fixture.startAnother({ SEGUE_MAX_JOBS: '2' });
    const { encode } = fixture.stages;
    fixture.stages.encode = (context) => until(context.signal);
    const submit = async () => gateway.client.jobs.submit(await question());
    const open = [await submit(), await submit()];
    await expect(submit()).rejects.toMatchObject({ code: 'RESOURCE_EXHAUSTED', retryAfterMs: 5_000 });
    const response = await ask(gateway.url);
    expect([response.status, response.headers.get('retry-after')]).toEqual([429, '5']);
    for (const { jobId } of open) await gateway.client.jobs.cancel(jobId);
    fixture.stages.encode = encode;
    expect((await ask(gateway.url)).status).toBe(200);
  });

  it('is refused before Redis is full, for a known picture too, and what is there goes on', async () => {
    const gateway = await fixture.startAnother({});
    const { imageId } = await gateway.client.images.upload(await photo());
    const { go } = hold(fixture.stages, 'generate');
    const open = await gateway.client.jobs.submit({ imageId, instruction: 'Where is the cup?' });
    const askAgain = () =>
      fetch(`${gateway.url}/v1/jobs`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ image_id: imageId, instruction: 'And the spoon?' }),
      });
    const makeRoom = await fillMemory(fixture.store, 0.9);
    try {
      await expect.poll(async () => (await askAgain()).status, { timeout: 10_000 }).toBe(429);
      const response = await askAgain();
      expect(response.headers.get('retry-after')).toBe('60');
      expect(await response.json()).toMatchObject({
        code: 'RESOURCE_EXHAUSTED',
        detail: expect.stringMatching(/room/),
      });
      go.give();
      expect((await gateway.client.jobs.wait(open.jobId)).text).toBe(TEXT);
    } finally {
      await makeRoom();
    }
    await expect.poll(async () => (await askAgain()).status, { timeout: 10_000 }).toBe(202);
  });

  it('is refused while a stage has no worker', async () => {
    const gateway = await fixture.startAnother({});
    await fixture.stopWorkers();
    try {
      await expect.poll(async () => (await ask(gateway.url)).status, { timeout: 10_000 }).toBe(503);
      const response = await ask(gateway.url);
      expect(response.headers.get('retry-after')).toBe('3');
      expect(await response.json()).toMatchObject({ code: 'UNAVAILABLE', detail: expect.stringContaining('"encode"') });
      await expect(gateway.client.segment(await question())).rejects.toMatchObject({ code: 'UNAVAILABLE' });
      expect(await fixture.leftovers()).toEqual([]);
    } finally {
      await fixture.startWorkers();
    }
    await expect.poll(async () => (await ask(gateway.url)).status, { timeout: 10_000 }).toBe(200);
  });
});

it.each(['::1', '::'])('listens on the IPv6 address %s, both edges', async (host) => {
  const gateway = await fixture.startAnother({ SEGUE_HOST: host, SEGUE_ALLOW_ANONYMOUS: 'true' });
  expect((await ask(gateway.url)).status).toBe(200);
  expect(await gateway.grpc.segment(await overGrpc())).toMatchObject({ text: TEXT });
});

describe('without Redis', () => {
  it('a gateway that starts is alive but not ready, and becomes so when Redis comes', async () => {
    const redis = await RedisServer.start();
    await redis.stop();
    const { service } = await fixture.create({ SEGUE_REDIS_URL: redis.url });
    const ready = service.start();
    await expect.poll(() => service.app.getUrl().catch(() => '')).toMatch(/^http/);
    const url = await service.app.getUrl();
    await expect.poll(async () => (await fetch(`${url}/healthz/ready`)).json()).toEqual({ state: 'warming' });
    // Operators hear more.
    const toOperators = async (): Promise<unknown> =>
      (await fetch(`${await service.admin?.getUrl()}/healthz/ready`)).json();
    const waitsFor = 'Redis does not answer. Start it, or correct SEGUE_REDIS_URL.';
    await expect.poll(toOperators).toEqual({ state: 'warming', waitsFor });
    const response = await ask(url);
    expect([response.status, response.headers.get('retry-after')]).toEqual([503, '1']);
    const back = await RedisServer.start({ port: Number(new URL(redis.url).port) });
    await ready;
    expect((await fetch(`${url}/healthz/ready`)).status).toBe(200);
    await service.close();
    await back.stop();
  });

  it('requests are refused at once, and the gateway comes back with it', async () => {
    const redis = await RedisServer.start();
    const gateway = await fixture.startAnother({ SEGUE_REDIS_URL: redis.url });
    await redis.stop();
    const began = performance.now();
    const response = await ask(gateway.url);
    expect(performance.now() - began).toBeLessThan(5_000);
    expect(response.status).toBe(503);
    expect(response.headers.get('retry-after')).not.toBeNull();
    await expect(gateway.client.jobs.submit(await question())).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    expect((await fetch(`${gateway.url}/healthz/live`)).status).toBe(200);
    expect((await fetch(`${gateway.adminUrl}/metrics`)).status).toBe(200);

    const back = await RedisServer.start({ port: Number(new URL(redis.url).port) });
    const detail = async () => ((await (await ask(gateway.url)).json()) as { detail: string }).detail;
    // Redis is there, the workers of this test are not.
    await expect.poll(detail, { timeout: 10_000 }).toContain('No worker');
    await gateway.close();
    await back.stop();
  });
});

describe('stopping', () => {
  it('answers what comes on a connection that was open already, and closes it then', async () => {
    const gateway = await fixture.startAnother({});
    const { hostname, port } = new URL(gateway.url);
    const { began, go } = hold(fixture.stages, 'generate');
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    const get = (path: string) =>
      new Promise((resolve, reject) => {
        const asked = request({ hostname, port, path, agent }, (response) => {
          const { statusCode: status, headers } = response;
          response.resume().on('end', () => resolve({ status, connection: headers.connection }));
        });
        asked.on('error', reject).end();
      });
    expect(await get('/v1/models')).toEqual({ status: 200, connection: 'keep-alive' });
    const waiting = gateway.grpc.segment(await overGrpc());
    await began.given;
    const closed = gateway.close();
    await expect.poll(async () => (await fetch(`${gateway.adminUrl}/healthz/ready`)).status).toBe(503);
    expect(await get('/v1/models')).toEqual({ status: 200, connection: 'close' });
    go.give();
    expect(await waiting).toMatchObject({ text: TEXT });
    await closed;
    agent.destroy();
  });

  it('finishes what clients wait for and sends watchers elsewhere', async () => {
    const gateway = await fixture.startAnother({});
    const { began, go } = hold(fixture.stages, 'generate');
    const called = gateway.grpc.segment(await overGrpc());
    const overHttp = ask(gateway.url);
    await began.given;
    const { jobId } = await gateway.client.jobs.submit(await question());
    const response = await fetch(`${gateway.url}/v1/jobs/${jobId}/events`);
    const seen: { readonly id?: string | undefined; readonly event?: string | undefined }[] = [];
    const watching = (async () => {
      for await (const event of serverSentEvents(response)) seen.push(event);
    })();
    await expect.poll(() => seen).not.toEqual([]);
    const closed = gateway.close();
    // The stream breaks off, which fetch tells of or not, while the job goes on: the gateway still works for those who wait.
    await Promise.allSettled([watching]);
    expect(seen.map(({ event }) => event)).not.toContain('completed');
    expect(await fixture.gateway.client.jobs.get(jobId)).toMatchObject({ state: 'running' });
    go.give();
    expect(await called).toMatchObject({ text: TEXT });
    expect(await (await overHttp).json()).toMatchObject({ text: TEXT });
    await closed;
    await expect(fetch(`${gateway.url}/healthz/live`)).rejects.toThrow();

    const headers = { 'last-event-id': seen.at(-1)!.id! };
    const rest = await fetch(`${fixture.gateway.url}/v1/jobs/${jobId}/events`, { headers });
    expect((await collect(serverSentEvents(rest))).at(-1)).toMatchObject({ event: 'completed' });
  });
});
