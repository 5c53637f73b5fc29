import { request as rawRequest } from 'node:http';
import { connect } from 'node:net';
import { beforeEach, describe, expect, it } from 'vitest';
import { photo, useGateway } from '../gateway.fixture.js';
import { SCHEMAS } from './schemas.js';

const fixture = useGateway();
let body: string;

beforeEach(async () => {
  body = JSON.stringify({ image: (await photo()).toString('base64'), instruction: 'Where is the cup?' });
});

function ask(url: string, headers: Record<string, string> = {}): Promise<Response> {
  return fetch(`${url}/v1/segment`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body,
  });
}

describe('Accept', () => {
  const [JSON_TYPE, EVENTS, PNG] = ['application/json', 'text/event-stream', 'image/png'];
  it.each([
    ['text/event-stream;q=0, application/json', JSON_TYPE],
    ['application/json, text/event-stream;q=0.1', JSON_TYPE],
    ['application/json;q=0.1, text/event-stream', EVENTS],
    ['image/png;q=0, application/json', JSON_TYPE],
    ['TEXT/EVENT-STREAM', EVENTS],
    ['Image/PNG', PNG],
    ['image/*', PNG],
    ['image/avif,image/webp,image/png,*/*;q=0.8', PNG],
    ['*/*', JSON_TYPE],
    ['text/html', JSON_TYPE],
    [';;;', JSON_TYPE],
    ['', JSON_TYPE],
  ])('%j gives %s', async (accept, type) => {
    const response = await ask(fixture.gateway.url, { accept });
    expect(response.headers.get('content-type')?.split(';')[0]).toBe(type);
    await response.arrayBuffer();
  });
});

it('an address with too long a name in it is 414', async () => {
  const response = await fetch(`${fixture.gateway.url}/v1/jobs/${'a'.repeat(5_000)}`);
  expect([response.status, response.headers.get('x-content-type-options')]).toEqual([414, 'nosniff']);
  expect(SCHEMAS.Problem.parse(await response.json())).toMatchObject({ code: 'INVALID_ARGUMENT', status: 414 });
});

it('a wrong method is 405 and says which there are', async () => {
  const { url } = fixture.gateway;
  for (const [method, path, allow] of [
    ['PUT', '/v1/segment', 'POST'],
    ['GET', '/v1/images', 'POST'],
    ['POST', `/v1/jobs/${'a'.repeat(32)}`, 'DELETE, GET, HEAD'],
    ['DELETE', '/v1/jobs/x/segments/0.png', 'GET, HEAD'],
    ['OPTIONS', '/v1/segment', 'POST'],
  ] as const) {
    const response = await fetch(`${url}${path}`, { method });
    expect([response.status, response.headers.get('allow')], path).toEqual([405, allow]);
    expect(SCHEMAS.Problem.parse(await response.json())).toMatchObject({ code: 'UNIMPLEMENTED', status: 405 });
  }
  expect((await fetch(`${url}/v1/nothing`, { method: 'PUT' })).status).toBe(404);
});

it('an empty Last-Event-ID is none', async () => {
  const { job_id } = SCHEMAS.Answer.parse(await (await ask(fixture.gateway.url)).json());
  const events = await fetch(`${fixture.gateway.url}/v1/jobs/${job_id}/events`, { headers: { 'last-event-id': '' } });
  expect(events.status).toBe(200);
  expect(await events.text()).toContain('event: accepted');
});

describe('what the framework refuses is a problem like all others', () => {
  /** Sends bytes and gives the whole answer. */
  function exchange(bytes: string): Promise<string> {
    const { hostname, port } = new URL(fixture.gateway.url);
    return new Promise((resolve, reject) => {
      let answer = '';
      const socket = connect(Number(port), hostname, () => socket.write(bytes));
      socket.on('data', (data) => (answer += data.toString()));
      socket.on('close', () => resolve(answer)).on('error', reject);
    });
  }

  it.each([
    ['a bad escape in the address', 'GET /%zz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n', 404],
    ['no HTTP', 'HELLO\r\n\r\n', 400],
    ['a bad header', 'GET / HTTP/1.1\r\nHost: x\r\nBad Header\r\n\r\n', 400],
    ['headers that are too large', `GET / HTTP/1.1\r\nHost: x\r\nX-A: ${'x'.repeat(100_000)}\r\n\r\n`, 431],
    ['two lengths', 'POST /v1/segment HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n', 400],
  ])('%s', async (_, bytes, status) => {
    const answer = await exchange(bytes);
    const [head = '', text = ''] = answer.split('\r\n\r\n');
    expect(head).toMatch(new RegExp(`^HTTP/1.1 ${status} `));
    for (const header of [
      'content-type: application/problem\\+json',
      'x-request-id: \\S',
      'x-content-type-options: nosniff',
    ])
      expect(head).toMatch(new RegExp(header, 'i'));
    expect(SCHEMAS.Problem.parse(JSON.parse(text))).toMatchObject({ status });
  });
});

describe('pages of other origins', () => {
  const form = (url: string, headers: Record<string, string>) => raw(`${url}/v1/segment`, 'POST', headers);

  it.each([
    ['another origin', { origin: 'https://evil.example' }],
    ['a sandboxed page', { origin: 'null' }],
    ['another site, as the browser says', { 'sec-fetch-site': 'cross-site' }],
    ['a neighbour, as the browser says', { 'sec-fetch-site': 'same-site', origin: 'https://other.example.org' }],
  ])('cannot post: %s', async (_, headers) => {
    expect(await form(fixture.gateway.url, headers)).toMatchObject({
      status: 403,
      body: { code: 'PERMISSION_DENIED' },
    });
  });

  it.each([
    ['a program', {}],
    ['its own page', { origin: 'http://segue.example:8080', host: 'segue.example:8080' }],
    ['its own page behind a proxy', { origin: 'https://segue.example', 'x-forwarded-host': 'segue.example' }],
    ['its own page, as the browser says', { origin: 'https://segue.example', 'sec-fetch-site': 'same-origin' }],
  ])('others can: %s', async (_, headers) => {
    expect(await form(fixture.gateway.url, headers)).toMatchObject({ status: 200 });
  });

  it('read no answer by default, and those of a setting do', async () => {
    const origin = 'https://app.example';
    const closed = await raw(`${fixture.gateway.url}/v1/models`, 'GET', { origin });
    expect(closed.headers).not.toHaveProperty('access-control-allow-origin');
    const { url } = await fixture.startAnother({ SEGUE_CORS_ORIGINS: `${origin}, https://other.example` });
    const preflight = await raw(`${url}/v1/segment`, 'OPTIONS', { origin, 'access-control-request-method': 'POST' });
    expect(preflight.status).toBe(204);
    expect(preflight.headers).toMatchObject({
      'access-control-allow-origin': origin,
      'access-control-allow-headers': expect.stringContaining('idempotency-key'),
    });
    const answer = await form(url, { origin });
    expect(answer).toMatchObject({ status: 200, headers: { 'access-control-allow-origin': origin } });
    expect(answer.headers['access-control-expose-headers']).toContain('retry-after');
    expect(await form(url, { origin: 'https://evil.example' })).toMatchObject({ status: 403 });
  });

  it('all may with *', async () => {
    const { url } = await fixture.startAnother({ SEGUE_CORS_ORIGINS: '*' });
    expect(await form(url, { origin: 'https://any.example' })).toMatchObject({
      status: 200,
      headers: { 'access-control-allow-origin': '*' },
    });
  });

  function raw(url: string, method: string, headers: Record<string, string>) {
    return new Promise<{ status: number | undefined; headers: Record<string, unknown>; body: unknown }>(
      (resolve, reject) => {
        const sent = { ...(method === 'POST' && { 'content-type': 'application/json' }), ...headers };
        const request = rawRequest(url, { method, headers: sent }, (response) => {
          let text = '';
          response.on('data', (data: Buffer) => (text += data.toString()));
          response.on('end', () =>
            resolve({
              status: response.statusCode,
              headers: response.headers,
              body: text === '' ? {} : JSON.parse(text),
            }),
          );
        });
        request.on('error', reject).end(method === 'POST' ? body : undefined);
      },
    );
  }
});

it('a name that it does not answer to is refused behind a setting, but for its operators', async () => {
  const { url } = await fixture.startAnother({ SEGUE_ALLOWED_HOSTS: 'segue.example' });
  const status = (path: string, host: string) =>
    new Promise((resolve, reject) => {
      rawRequest(`${url}${path}`, { headers: { host } }, (response) => resolve(response.resume().statusCode))
        .on('error', reject)
        .end();
    });
  expect(await status('/v1/models', 'Segue.example:8080')).toBe(200);
  expect(await status('/v1/models', 'rebound.example')).toBe(403);
  expect(await status('/healthz/live', '10.0.0.7')).toBe(200);
});
