import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import { SegueError } from '@segue/core';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { SegueClient } from './client.js';
import { ANSWER, ANSWER_BODY, EVENTS, FakeService, frame, json, problem } from './service.fixture.js';

const JOB_BODY = { job_id: 'j1', state: 'failed', created_at_ms: 5, deadline_at_ms: 9 };

let service: FakeService;
let client: SegueClient;

beforeEach(async () => {
  service = await FakeService.start();
  client = new SegueClient({ baseUrl: service.url, headers: { authorization: 'Bearer x' } });
});
afterEach(() => service.close());

const question = { image: new TextEncoder().encode('picture'), instruction: 'the cup' };

async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}

describe('jobs.list', () => {
  it('fetches page after page', async () => {
    service.behave = ({ url }, response) => {
      const more = !url.includes('page_token');
      json(response, 200, {
        jobs: [{ ...JOB_BODY, job_id: more ? 'j2' : 'j1' }],
        ...(more && { next_page_token: 'a b' }),
      });
    };
    expect((await collect(client.jobs.list({ state: 'failed' }))).map(({ jobId }) => jobId)).toEqual(['j2', 'j1']);
    expect(service.arrived.map(({ url }) => url)).toEqual([
      '/segue/v1/jobs?state=failed',
      '/segue/v1/jobs?state=failed&page_token=a+b',
    ]);
  });
});

describe('segment', () => {
  it('asks and answers', async () => {
    service.behave = (_request, response) => json(response, 200, ANSWER_BODY);
    const history = [{ instruction: 'q', answer: 'a' }];
    expect(await client.segment({ ...question, history, mode: 'mask_only', timeoutMs: 900 })).toEqual(ANSWER);
    expect(service.arrived).toMatchObject([
      {
        method: 'POST',
        url: '/segue/v1/segment',
        headers: { authorization: 'Bearer x', accept: 'application/json' },
        fields: {
          image: 'picture',
          instruction: 'the cup',
          history: JSON.stringify(history),
          mode: 'mask_only',
          timeout_ms: '900',
        },
      },
    ]);
  });

  it.each([
    ['bytes', new TextEncoder().encode('xyz')],
    ['a part of a buffer', Buffer.from('..xyz..').subarray(2, 5)],
    ['an ArrayBuffer', new TextEncoder().encode('xyz').buffer],
    ['a Blob', new Blob(['xyz'])],
  ])('takes a picture as %s', async (_name, image) => {
    service.behave = (_request, response) => json(response, 200, ANSWER_BODY);
    await client.segment({ image, instruction: 'x' });
    expect(service.arrived[0]?.fields.image).toBe('xyz');
  });

  it('names a picture that is there already', async () => {
    service.behave = (_request, response) => json(response, 200, ANSWER_BODY);
    await client.segment({ imageId: 'i1', instruction: 'x' });
    expect(service.arrived[0]?.fields).toEqual({ image_id: 'i1', instruction: 'x' });
  });

  it('fails with what the service said', async () => {
    service.behave = (_request, response) => problem(response, 413, 'INVALID_ARGUMENT', { 'retry-after': '7' });
    const error = await client.segment(question).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(SegueError);
    expect(error).toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: 'It is INVALID_ARGUMENT.',
      reason: 'TOO_LARGE',
      details: { some_limit: 5 },
      retryAfterMs: 7_000,
    });
    expect(service.arrived).toHaveLength(1);
  });

  it.each([
    [502, 'UNAVAILABLE'],
    [404, 'NOT_FOUND'],
    [418, 'INVALID_ARGUMENT'],
    [511, 'INTERNAL'],
  ])("takes a proxy's status %i for %s", async (status, code) => {
    service.behave = (_request, response) => void response.writeHead(status).end('<html>');
    const failed = new SegueClient({ baseUrl: service.url, retries: 0 }).segment(question);
    await expect(failed).rejects.toMatchObject({ code, message: expect.stringContaining(String(status)) });
  });

  it('says UNAVAILABLE when nobody listens', async () => {
    const lonely = new SegueClient({ baseUrl: 'http://127.0.0.1:1', retries: 0 });
    await expect(lonely.models.list()).rejects.toMatchObject({
      code: 'UNAVAILABLE',
      message: expect.stringContaining('http://127.0.0.1:1/'),
    });
  });

  it('gives up when its signal says so, and lets go of the connection', async () => {
    const controller = new AbortController();
    let gone: Promise<unknown> | undefined;
    service.behave = (_request, response) => {
      gone = once(response, 'close');
      controller.abort();
    };
    const asked = client.segment(question, { signal: controller.signal });
    await expect(asked).rejects.toMatchObject({ code: 'CANCELLED' });
    await gone;
    await expect(client.segment(question, { signal: controller.signal })).rejects.toMatchObject({ code: 'CANCELLED' });
    expect(service.arrived).toHaveLength(1);
  });

  it('gives up at its deadline, a while after the service should have', async () => {
    service.behave = () => undefined;
    await expect(client.segment({ ...question, timeoutMs: -1_900 })).rejects.toMatchObject({
      code: 'DEADLINE_EXCEEDED',
    });
  });
});

describe('a retry', () => {
  it('comes after the time that the service names', async () => {
    const times: number[] = [];
    service.behave = (_request, response) => {
      times.push(performance.now());
      if (times.length === 1) problem(response, 429, 'RESOURCE_EXHAUSTED', { 'retry-after': '1' });
      else if (times.length === 2) problem(response, 503, 'UNAVAILABLE', { 'retry-after': '0' });
      else json(response, 200, ANSWER_BODY);
    };
    expect(await client.segment(question)).toEqual(ANSWER);
    expect(times[1]! - times[0]!).toBeGreaterThanOrEqual(990);
    expect(service.arrived.map(({ fields }) => fields.image)).toEqual(['picture', 'picture', 'picture']);
  });

  it('comes twice, then the last failure is told', async () => {
    service.behave = (_request, response) => problem(response, 503, 'UNAVAILABLE', { 'retry-after': '0' });
    await expect(client.segment(question)).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    expect(service.arrived).toHaveLength(3);
  });

  it.each([
    [429, 'RESOURCE_EXHAUSTED', {}],
    [429, 'RESOURCE_EXHAUSTED', { 'retry-after': '3600' }],
    [500, 'INTERNAL', { 'retry-after': '0' }],
    [409, 'ALREADY_EXISTS', { 'retry-after': '0' }],
  ])('does not come after %i %s %j', async (status, code, headers) => {
    service.behave = (_request, response) => problem(response, status, code, headers as Record<string, string>);
    await expect(client.segment(question)).rejects.toMatchObject({ code });
    expect(service.arrived).toHaveLength(1);
  });

  it('comes after a connection that breaks', async () => {
    service.behave = (_request, response) => {
      if (service.arrived.length > 1) return json(response, 200, ANSWER_BODY);
      response.writeHead(200, { 'content-type': 'application/json' }).write('{"job_id":');
      setTimeout(() => response.destroy(), 20);
    };
    expect(await client.segment(question)).toEqual(ANSWER);
  });

  it('of a submission has the same key', async () => {
    service.behave = (_request, response) => {
      if (service.arrived.length > 1) json(response, 202, JOB_BODY);
      else response.destroy();
    };
    await client.jobs.submit(question);
    const keys = service.arrived.map(({ fields }) => fields.idempotency_key);
    expect(keys[0]).toMatch(/^[0-9a-f]{32}$/);
    expect(keys[1]).toBe(keys[0]);
    await client.jobs.submit({ ...question, idempotencyKey: 'mine' });
    expect(service.arrived.at(-1)?.fields.idempotency_key).toBe('mine');
  });
});

describe('stream', () => {
  const known = EVENTS.filter(({ type }) => type !== 'of a later version');

  it('gives the events that it knows', async () => {
    service.behave = (_request, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' }).end(`: ping\n\n${EVENTS.map(frame).join('')}`);
    };
    const events = await collect(client.stream(question));
    expect(events.map(({ type }) => type)).toEqual(known.map(({ type }) => type));
    expect(events[0]).toEqual({ type: 'accepted', id: '1-0', jobId: 'j1', atMs: 1, imageId: 'i1' });
    expect(events.at(-1)).toEqual({ type: 'completed', id: '6-0', jobId: 'j1', atMs: 6, answer: ANSWER });
    expect(service.arrived[0]?.headers.accept).toBe('text/event-stream');
  });

  it('gives each as soon as it comes, and closes the connection of a loop that is left', async () => {
    let gone: Promise<unknown> | undefined;
    service.behave = (_request, response) => {
      gone = once(response, 'close');
      response.writeHead(200).write(frame(EVENTS[0]!));
    };
    for await (const event of client.stream(question)) {
      expect(event.type).toBe('accepted');
      break;
    }
    await gone;
  });

  it('that breaks is the end of its job', async () => {
    service.behave = (_request, response) => breakAfter(response, EVENTS.slice(0, 2));
    await expect(collect(client.stream(question))).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    expect(service.arrived).toHaveLength(1);
  });

  it('that breaks goes on where it broke, with a key', async () => {
    service.behave = ({ url }, response) => {
      if (url.endsWith('/segment')) breakAfter(response, EVENTS.slice(0, 2));
      else response.writeHead(200).end(EVENTS.slice(2).map(frame).join(''));
    };
    const events = await collect(client.stream({ ...question, idempotencyKey: 'k' }));
    expect(events.map(({ type }) => type)).toEqual(known.map(({ type }) => type));
    expect(service.arrived[1]).toMatchObject({ url: '/segue/v1/jobs/j1/events', headers: { 'last-event-id': '2-0' } });
  });

  it('gives up when its signal says so', async () => {
    const controller = new AbortController();
    service.behave = (_request, response) => void response.writeHead(200).write(frame(EVENTS[0]!));
    const events = (async () => {
      for await (const event of client.stream(question, { signal: controller.signal })) controller.abort(event);
    })();
    await expect(events).rejects.toMatchObject({ code: 'CANCELLED' });
  });
});

describe('jobs', () => {
  it('are read and cancelled', async () => {
    const error = { code: 'INTERNAL', message: 'no', details: { some_limit: 5 } };
    service.behave = (_request, response) => json(response, 200, { ...JOB_BODY, error });
    const job = { jobId: 'j1', state: 'failed', createdAtMs: 5, deadlineAtMs: 9, error };
    expect(await client.jobs.get('j/1')).toEqual(job);
    expect(await client.jobs.cancel('j1')).toEqual(job);
    expect(service.arrived).toMatchObject([
      { method: 'GET', url: '/segue/v1/jobs/j%2F1' },
      { method: 'DELETE', url: '/segue/v1/jobs/j1' },
    ]);
  });

  it('are watched from a point on, through connections that break', async () => {
    service.behave = ({ headers }, response) => {
      const from = EVENTS.findIndex(({ id }) => id === headers['last-event-id']) + 1;
      breakAfter(response, EVENTS.slice(from, from + 2));
    };
    const events = await collect(client.jobs.watch('j1', { afterEventId: '1-0' }));
    expect(events.map(({ id }) => id)).toEqual(['2-0', '4-0', '5-0', '6-0']);
  });

  it('are not watched for ever when nothing comes', async () => {
    service.behave = (_request, response) => void response.writeHead(200).end();
    await expect(collect(client.jobs.watch('j1'))).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    service.behave = (_request, response) => void response.writeHead(204).end();
    expect(await collect(client.jobs.watch('j1', { afterEventId: '6-0' }))).toEqual([]);
  });

  it('are waited for', async () => {
    service.behave = (_request, response) => void response.writeHead(200).end(EVENTS.map(frame).join(''));
    expect(await client.jobs.wait('j1')).toEqual(ANSWER);
    const failed = { type: 'failed', id: '2-0', job_id: 'j1', at_ms: 3, error: { code: 'NOT_FOUND', message: 'no' } };
    service.behave = (_request, response) =>
      void response.writeHead(200).end(frame(failed as unknown as (typeof EVENTS)[number]));
    await expect(client.jobs.wait('j1')).rejects.toMatchObject({ code: 'NOT_FOUND', message: 'no' });
  });

  it('of another mask format are not understood', async () => {
    const segments = [{ ...ANSWER_BODY.segments[0], mask: { size: [2, 3], png: '' } }];
    service.behave = (_request, response) => json(response, 200, { ...JOB_BODY, answer: { ...ANSWER_BODY, segments } });
    await expect(client.jobs.get('j1')).rejects.toMatchObject({ code: 'UNIMPLEMENTED' });
  });
});

it('stores pictures', async () => {
  service.behave = (_request, response) => json(response, 201, { image_id: 'i1', width: 3, height: 2 });
  expect(await client.images.upload(question.image)).toEqual({ imageId: 'i1', width: 3, height: 2 });
  expect(service.arrived).toMatchObject([{ method: 'POST', url: '/segue/v1/images', fields: { image: 'picture' } }]);
});

it('lists models', async () => {
  service.behave = (_request, response) => json(response, 200, { models: [{ name: 'm', is_default: true }] });
  expect(await client.models.list()).toEqual([{ name: 'm', isDefault: true }]);
});

function breakAfter(response: ServerResponse, events: typeof EVENTS): void {
  response.writeHead(200).write(events.map(frame).join(''), () => setTimeout(() => response.destroy(), 50));
}
