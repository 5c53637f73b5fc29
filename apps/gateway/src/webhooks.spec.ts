import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { photo, TEXT, until, useGateway } from './gateway.fixture.js';

const fixture = useGateway();
const SECRET = Buffer.alloc(32, 7).toString('base64');
const ALLOWED = {
  SEGUE_WEBHOOK_HOSTS: '127.0.0.1',
  SEGUE_WEBHOOK_SECRET: SECRET,
  SEGUE_WEBHOOK_PRIVATE_ADDRESSES: 'on',
};

let receiver: Server;
let webhookUrl: string;
let told: { type: string; data: { job_id: string; state: string; answer?: { text: string } } }[];
beforeEach(async () => {
  told = [];
  receiver = createServer((request, response) => {
    void text(request).then((body) => {
      told.push(JSON.parse(body) as (typeof told)[number]);
      response.end();
    });
  }).listen(0, '127.0.0.1');
  await once(receiver, 'listening');
  webhookUrl = `http://127.0.0.1:${(receiver.address() as AddressInfo).port}/`;
});
afterEach(() => {
  receiver.closeAllConnections();
  receiver.close();
});

const question = async () => ({ image: await photo(), instruction: 'Where is the cup?', webhookUrl });

it('tells of the answer, and of a job that is cancelled', async () => {
  const { client, grpc } = await fixture.startAnother(ALLOWED);
  const { jobId } = await client.jobs.submit(await question());
  await expect.poll(() => told, { timeout: 8_000 }).toHaveLength(1);
  expect(told).toMatchObject([
    { type: 'job.completed', data: { job_id: jobId, state: 'completed', answer: { text: TEXT } } },
  ]);

  fixture.stages.generate = ({ signal }) => until(signal);
  const picture = { case: 'image' as const, value: await photo('jpeg') };
  const { jobId: second } = await grpc.submitJob({ picture, instruction: 'And the spoon?', webhookUrl });
  await client.jobs.cancel(second);
  await expect.poll(() => told, { timeout: 8_000 }).toHaveLength(2);
  expect(told[1]).toMatchObject({ type: 'job.cancelled', data: { job_id: second } });
});

it('refuses an address that is not allowed, before anything is stored', async () => {
  const { client } = await fixture.startAnother({ ...ALLOWED, SEGUE_WEBHOOK_PRIVATE_ADDRESSES: 'off' });
  const submit = async (url: string) => client.jobs.submit({ ...(await question()), webhookUrl: url });
  await expect(submit(webhookUrl)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
  await expect(submit('https://127.0.0.1/')).rejects.toMatchObject({ code: 'PERMISSION_DENIED' });
  await expect(submit('https://example.org/')).rejects.toMatchObject({ code: 'PERMISSION_DENIED' });
  await expect(fixture.gateway.client.jobs.submit(await question())).rejects.toMatchObject({
    code: 'PERMISSION_DENIED',
    message: expect.stringContaining('SEGUE_WEBHOOK_HOSTS'),
  });
  expect(await fixture.leftovers()).toEqual([]);
});

it('does not start without a secret', async () => {
  await expect(fixture.startAnother({ ...ALLOWED, SEGUE_WEBHOOK_SECRET: 'c2hvcnQ=' })).rejects.toMatchObject({
    message: expect.stringContaining('SEGUE_WEBHOOK_SECRET'),
  });
});
