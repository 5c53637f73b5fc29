import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { text } from 'node:stream/consumers';
import type { Periodic } from '@segue/core';
import { openRedis, type RedisConnection } from '@segue/redis';
import { RedisServer } from '@segue/local-system';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { isSigned } from './signature.js';
import { WebhookQueue } from './webhook-queue.js';
import { checkTarget, isPrivateAddress } from './target.js';
import { Webhooks, type BodyOf, type WebhookOptions } from './webhooks.js';

const log = { info: () => undefined, warn: () => undefined, error: () => undefined };
const SECRET = Buffer.from('a secret of the operator').toString('base64');

interface Call {
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: string;
}

describe('a webhook', () => {
  let redis: RedisServer;
  let connection: RedisConnection;
  let receiver: Server;
  let url: string;
  let calls: Call[];
  let answers: number[];
  let running: Periodic[];
  beforeAll(async () => {
    redis = await RedisServer.start();
    connection = openRedis({ url: redis.url, role: 'worker', log });
  });
  afterAll(async () => {
    connection.close();
    await redis.stop();
  });
  beforeEach(async () => {
    [calls, answers, running] = [[], [], []];
    receiver = createServer((request, response) => {
      void text(request).then((body) => {
        calls.push({ headers: request.headers, body });
        const status = answers.shift() ?? 200;
        if (status > 0) response.writeHead(status, { location: url }).end();
      });
    }).listen(0, '127.0.0.1');
    await once(receiver, 'listening');
    url = `http://127.0.0.1:${(receiver.address() as AddressInfo).port}/told`;
  });
  afterEach(async () => {
    await Promise.all(running.map((loop) => loop.stop()));
    receiver.closeAllConnections();
    receiver.close();
    await connection.client.flushall();
  });

  const ended: BodyOf = async (jobId) => ({ type: 'job.completed', data: { job_id: jobId } });
  function open(options: Partial<WebhookOptions> = {}, bodyOf = ended): Webhooks {
    const webhooks = new Webhooks(
      connection,
      {
        hosts: ['127.0.0.1'],
        allowPrivate: true,
        secret: SECRET,
        timeoutMs: 20_000,
        giveUpAfterMs: 60_000,
        userAgent: 'segue',
        ...options,
      },
      log,
    );
    running.push(webhooks.start(bodyOf));
    return webhooks;
  }
  const waiting = () => connection.client.dbsize();

  it('is called once, signed, when the job has ended', async () => {
    let over = false;
    const webhooks = open({}, async (jobId) => (over ? ended(jobId) : undefined));
    await webhooks.add('j1', url, 60_000);
    await sleep(700);
    expect(calls).toEqual([]);
    over = true;
    await new WebhookQueue(connection).hasten('j1');
    await expect.poll(() => calls.length, { timeout: 5_000 }).toBe(1);
    const [{ headers, body } = { headers: {}, body: '' }] = calls;
    expect(JSON.parse(body)).toMatchObject({ type: 'job.completed', data: { job_id: 'j1' } });
    const message = { id: String(headers['webhook-id']), atSeconds: Number(headers['webhook-timestamp']), body };
    const signature = String(headers['webhook-signature']);
    expect(isSigned(message, signature, `whsec_${SECRET}`)).toBe(true);
    expect(isSigned({ ...message, body: `${body} ` }, signature, SECRET)).toBe(false);
    await expect.poll(waiting, { timeout: 5_000 }).toBe(0);
    expect(calls).toHaveLength(1);
  });

  it('is called after the deadline though nobody said that the job has ended', async () => {
    const webhooks = open();
    await webhooks.add('j1', url, -5_000);
    await expect.poll(() => calls.length, { timeout: 5_000 }).toBe(1);
  });

  it('is called by one of several gateways', async () => {
    const [one] = [open(), open()];
    for (let i = 0; i < 5; i++) await one.add(`j${i}`, url, 60_000);
    for (let i = 0; i < 5; i++) await new WebhookQueue(connection).hasten(`j${i}`);
    await expect.poll(waiting, { timeout: 5_000 }).toBe(0);
    expect(calls).toHaveLength(5);
  });

  it.each([
    ['an error', 500],
    ['a redirection, which is not followed', 302],
    ['no answer in time', 0],
  ])('is called again after %s, with the same id', async (_what, status) => {
    answers = [status];
    await open({ timeoutMs: status === 0 ? 1_000 : 20_000 }).add('j1', url, -5_000);
    await expect.poll(() => calls.length, { timeout: 15_000 }).toBe(2);
    expect(new Set(calls.map(({ headers }) => headers['webhook-id'])).size).toBe(1);
    await expect.poll(waiting, { timeout: 5_000 }).toBe(0);
  });

  it('is given up when the receiver is gone, or the time is over, or the job', async () => {
    answers = [410];
    await open().add('j1', url, -5_000);
    await expect.poll(waiting, { timeout: 5_000 }).toBe(0);
    expect(calls).toHaveLength(1);
    answers = Array.from({ length: 9 }, () => 500);
    await open({ giveUpAfterMs: 8_000 }).add('j2', url, -5_000);
    await expect.poll(waiting, { timeout: 15_000 }).toBe(0);
    expect(calls.length).toBeGreaterThan(1);
    expect(answers).not.toEqual([]);
  });

  it('calls no address that its rules forbid, even one that was noted before', async () => {
    await open({ allowPrivate: false }).add(
      'j1',
      url.replace('127.0.0.1', 'localhost').replace('http', 'https'),
      -5_000,
    );
    await expect.poll(waiting, { timeout: 5_000 }).toBe(0);
    expect(calls).toEqual([]);
  });
});

describe('an address', () => {
  it.each([
    '10.1.2.3',
    '127.0.0.1',
    '169.254.169.254',
    '192.168.1.1',
    '100.64.0.1',
    '0.0.0.0',
    '::1',
    '::',
    'fe80::1',
    'fd00::1',
    '::ffff:10.0.0.1',
    '64:ff9b::a00:1',
    '2002:a00:1::',
  ])('%s is private', (address) => expect(isPrivateAddress(address)).toBe(true));

  it.each(['8.8.8.8', '2606:4700::1111', '::ffff:8.8.8.8'])('%s is public', (address) =>
    expect(isPrivateAddress(address)).toBe(false),
  );

  const rules = { hosts: ['hooks.example.org', '*.example.com', '10.0.0.1'], allowPrivate: false };
  it.each(['https://hooks.example.org/a', 'https://a.b.example.com:8443/'])('%s is allowed', (address) =>
    expect(checkTarget(address, rules).href).toBe(address),
  );

  it.each([
    ['http://hooks.example.org/', 'INVALID_ARGUMENT'],
    ['https://me:secret@hooks.example.org/', 'INVALID_ARGUMENT'],
    ['file:///etc/passwd', 'INVALID_ARGUMENT'],
    ['no address', 'INVALID_ARGUMENT'],
    ['https://example.com/', 'PERMISSION_DENIED'],
    ['https://example.org.evil.net/', 'PERMISSION_DENIED'],
    ['https://10.0.0.1/', 'PERMISSION_DENIED'],
    ['https://0x0a000001/', 'PERMISSION_DENIED'],
  ])('%s is refused', (address, code) =>
    expect(() => checkTarget(address, rules)).toThrow(expect.objectContaining({ code })),
  );
});
