import { TraceCollector } from '@segue/testing';
import { beforeAll, beforeEach, expect, it, vi } from 'vitest';
import { photo, signal, until, useGateway } from '../gateway.fixture.js';

const TRACE_ID = '0af7651916cd43dd8448eb211c80319c';
const CLIENT_SPAN = 'b7ad6b7169203331';
const WAIT = { timeout: 10_000 };

const fixture = useGateway();
let collector: TraceCollector;
let url: string;
beforeAll(async () => {
  vi.stubEnv('OTEL_BSP_SCHEDULE_DELAY', '50');
  collector = await TraceCollector.start();
  // One for all tests: a process traces once.
  const { service } = await fixture.create({ SEGUE_TRACES_URL: collector.url });
  url = await service.start();
  return async () => {
    await service.close();
    collector.stop();
    vi.unstubAllEnvs();
  };
});
beforeEach(() => void (collector.spans.length = 0));

const spans = (name: string) => collector.spans.filter((span) => span.name === name);

async function ask(headers: Record<string, string> = {}, gone?: AbortSignal): Promise<Response> {
  const body = new FormData();
  body.set('image', new Blob([new Uint8Array(await photo())]), 'photo.png');
  body.set('instruction', 'Where is the cup?');
  return fetch(`${url}/v1/segment`, { method: 'POST', body, headers, ...(gone && { signal: gone }) });
}

it("goes on with the client's trace, and has what is done for the request below it", async () => {
  const headers = { traceparent: `00-${TRACE_ID}-${CLIENT_SPAN}-01`, 'x-request-id': 'mine' };
  expect((await ask(headers)).status).toBe(200);
  await expect.poll(() => spans('POST /v1/segment'), WAIT).toHaveLength(1);
  const [request] = spans('POST /v1/segment');
  expect(request).toMatchObject({ traceId: TRACE_ID, parentSpanId: CLIENT_SPAN, service: 'gateway' });
  expect(request?.attributes).toMatchObject({
    'http.request.method': 'POST',
    'http.route': '/v1/segment',
    'segue.request_id': 'mine',
  });
  expect(request?.status.code).not.toBe(2);
  await expect.poll(() => spans('submit').map(({ parentSpanId }) => parentSpanId), WAIT).toEqual([request?.spanId]);
});

it('has a span for what is refused, which is no failure, and none for what operators ask', async () => {
  expect((await fetch(`${url}/healthz/ready`)).status).toBe(200);
  expect((await fetch(`${url}/v1/jobs/nope`)).status).toBe(404);
  await expect.poll(() => collector.spans.map(({ name }) => name), WAIT).toEqual(['GET /v1/jobs/:id']);
  expect(spans('GET /v1/jobs/:id')).toMatchObject([{ attributes: { 'http.response.status_code': 404 } }]);
});

it('tells failures, and clients that have gone', async () => {
  fixture.stages.decode = () => Promise.reject(new Error('the graph is broken'));
  expect((await ask()).status).toBe(500);
  const failures = () =>
    spans('POST /v1/segment').map(({ status }) => (status as { message?: string }).message ?? status.code);
  await expect.poll(failures, WAIT).toEqual(['status 500']);
  const [begun, leaving] = [signal(), new AbortController()];
  fixture.stages.generate = ({ signal: ends }) => {
    begun.give();
    return until(ends);
  };
  const left = ask({}, leaving.signal);
  await begun.given;
  leaving.abort();
  await expect(left).rejects.toThrow();
  await expect.poll(failures, WAIT).toEqual(['status 500', 'the client has gone']);
});
