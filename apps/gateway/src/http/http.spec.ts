import { request as rawRequest } from 'node:http';
import { serverSentEvents } from '@segue/client';
import { decodeMask, SegueError } from '@segue/core';
import sharp from 'sharp';
import { beforeEach, describe, expect, it } from 'vitest';
import {
  collect,
  HEIGHT,
  MASK,
  photo,
  hold,
  signal,
  TEXT,
  until,
  useGateway,
  WIDTH,
  type RunningGateway,
} from '../gateway.fixture.js';
import { SCHEMAS } from './schemas.js';

const fixture = useGateway();
let gateway: RunningGateway;
let png: Buffer;

beforeEach(async () => {
  gateway = fixture.gateway;
  png = await photo();
});

function post(path: string, body: unknown, headers: Record<string, string> = {}): Promise<Response> {
  return fetch(`${gateway.url}${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  });
}

function form(fields: Record<string, string>, image: Uint8Array | null = png): FormData {
  const data = new FormData();
  for (const [name, value] of Object.entries(fields)) data.set(name, value);
  if (image) data.set('image', new Blob([new Uint8Array(image)]), 'photo.png');
  return data;
}

const question = () => ({ image: png.toString('base64'), instruction: 'Where is the cup?' });

describe('POST /v1/segment', () => {
  it('answers JSON to JSON, in the shape of its schema', async () => {
    const response = await post('/v1/segment', question());
    expect(response.status).toBe(200);
    const answer = SCHEMAS.Answer.parse(await response.json());
    expect(answer).toMatchObject({ text: TEXT, finish_reason: 'stop', cache: { image: false, prefix: false } });
    expect(answer.segments).toMatchObject([
      { index: 0, phrase: 'the cup', span: [6, 13], mask: MASK, box: [3, 0, 3, 4], area: 12, score: 0.5 },
    ]);
    expect(answer.timings_ms.total).toBeGreaterThan(0);
  });

  it('takes a form, with its options as texts', async () => {
    const fields = {
      instruction: 'Where is the cup?',
      history: JSON.stringify([{ instruction: 'Hello?', answer: 'Hello.' }]),
      max_tokens: '3',
      mask_format: 'polygon',
    };
    let seen: unknown;
    const { generate } = fixture.stages;
    fixture.stages.generate = (context) => {
      seen = context.request;
      return generate(context);
    };
    const response = await fetch(`${gateway.url}/v1/segment`, { method: 'POST', body: form(fields) });
    const answer = SCHEMAS.Answer.parse(await response.json());
    expect(answer.segments[0]?.mask).toEqual({ size: [HEIGHT, WIDTH], polygon: [expect.any(Array)] });
    expect(seen).toMatchObject({ history: [{ instruction: 'Hello?', answer: 'Hello.' }], maxTokens: 3 });
  });

  it('answers masks as PNG where asked', async () => {
    const response = await post('/v1/segment', { ...question(), mask_format: 'png' });
    const { segments } = SCHEMAS.Answer.parse(await response.json());
    const mask = segments[0]?.mask as { png: string };
    const { data } = await sharp(Buffer.from(mask.png, 'base64'))
      .toColourspace('b-w')
      .raw()
      .toBuffer({ resolveWithObject: true });
    expect([...data].map((value) => (value > 0 ? 1 : 0))).toEqual([...decodeMask(MASK)]);
  });

  it('answers polygons as exact as they are asked for', async () => {
    const ask = async (more: object) => {
      const response = await post('/v1/segment', { ...question(), mask_format: 'polygon', ...more });
      return (SCHEMAS.Answer.parse(await response.json()).segments[0]?.mask as { polygon: number[][] }).polygon;
    };
    expect(await ask({})).toEqual([[3, 0, 6, 0, 6, 4, 3, 4]]);
    expect(await ask({ polygon_tolerance: 1 })).toEqual([[3, 0, 6, 0, 6, 4, 3, 4]]);
    const refused = await post('/v1/segment', { ...question(), polygon_tolerance: 1 });
    await problem(refused, 400, 'INVALID_ARGUMENT', '"polygon_tolerance" goes with the format "polygon"');
  });

  it('answers events as they happen', async () => {
    const response = await post('/v1/segment', question(), { accept: 'text/event-stream' });
    expect(response.headers.get('content-type')).toBe('text/event-stream');
    expect(response.headers.get('x-request-id')).toBeTruthy();
    const events = [];
    for await (const { id, event, data } of serverSentEvents(response)) {
      const body = SCHEMAS.Event.parse(JSON.parse(data));
      expect([body.id, body.type]).toEqual([id, event]);
      events.push(body);
    }
    const types = events.map((event) => event.type);
    expect(types[0]).toBe('accepted');
    expect(types.at(-1)).toBe('completed');
    expect(types.filter((type) => type === 'segment')).toHaveLength(1);
    const texts = events.flatMap((event) => (event.type === 'text' ? [event.text] : []));
    expect(texts.join('')).toBe(TEXT);
  });

  it('answers the overlay', async () => {
    const response = await post('/v1/segment', question(), { accept: 'image/png' });
    expect(response.headers.get('content-type')).toBe('image/png');
    const overlay = await sharp(Buffer.from(await response.arrayBuffer())).metadata();
    expect(overlay.format).toBe('png');
    expect(overlay.width).toBeGreaterThanOrEqual(WIDTH);
  });

  it('asks again about a stored picture', async () => {
    const stored = await fetch(`${gateway.url}/v1/images`, { method: 'POST', body: form({}) });
    expect(stored.status).toBe(201);
    const { image_id, width, height } = SCHEMAS.Image.parse(await stored.json());
    expect([width, height]).toEqual([WIDTH, HEIGHT]);
    const response = await post('/v1/segment', { image_id, instruction: 'And the spoon?' });
    const usage = { prompt_tokens: 9, completion_tokens: 7 };
    expect(await response.json()).toMatchObject({ text: TEXT, image_id, usage });
  });

  const formats = ['png', 'jpeg', 'webp', 'gif', 'tiff', 'avif'] as const;
  it.each(formats)('gives a stored picture back as it was sent (%s)', async (format) => {
    const { url } = await fixture.startAnother({ SEGUE_PICTURE_FORMATS: formats.join() });
    const image = await photo(format);
    const stored = await fetch(`${url}/v1/images`, { method: 'POST', body: form({}, image) });
    const { image_id } = SCHEMAS.Image.parse(await stored.json());
    const response = await fetch(`${url}/v1/images/${image_id}`);
    expect(response.headers.get('content-type')).toBe(`image/${format}`);
    expect(Buffer.from(await response.arrayBuffer())).toEqual(image);
  });

  it('knows no picture of another id', async () => {
    await problem(await fetch(`${gateway.url}/v1/images/${'a'.repeat(64)}`), 404, 'NOT_FOUND', 'no picture');
  });

  it.each(['application/json', 'text/event-stream'])(
    'cancels the job of a client that goes away (%s)',
    async (accept) => {
      const began = signal();
      const ended = signal();
      fixture.stages.generate = async (context) => {
        began.give();
        return until(context.signal).finally(() => ended.give());
      };
      const controller = new AbortController();
      const response = fetch(`${gateway.url}/v1/segment`, {
        method: 'POST',
        headers: { accept },
        body: form({ instruction: 'x' }),
        signal: controller.signal,
      });
      const lost = expect(response.then((early) => early.text())).rejects.toThrow('aborted');
      await began.given;
      controller.abort();
      await ended.given;
      await lost;
      const [key] = await fixture.store.keys('{segue}:job:????????????????????????????????');
      await expect.poll(() => fixture.store.hget(key!, 'state')).toBe('cancelled');
    },
  );

  it('writes 499 and no error for a client that goes away while it waits', async () => {
    const began = signal();
    fixture.stages.generate = async (context) => {
      began.give();
      return until(context.signal);
    };
    const { service } = await fixture.create({ SEGUE_LOG_LEVEL: 'info' });
    const lines: string[] = [];
    for (const level of ['info', 'warn', 'error'] as const) {
      service.logger[level] = ((fields: object) => lines.push(`${level} ${JSON.stringify(fields)}`)) as never;
    }
    const url = await service.start();
    const controller = new AbortController();
    const body = form({ instruction: 'x' });
    const response = fetch(`${url}/v1/segment`, { method: 'POST', body, signal: controller.signal });
    const lost = expect(response).rejects.toThrow('aborted');
    await began.given;
    controller.abort();
    await lost;
    const [key] = await fixture.store.keys('{segue}:job:????????????????????????????????');
    await expect.poll(() => fixture.store.hget(key!, 'state'), { timeout: 10_000 }).toBe('cancelled');
    await expect.poll(() => lines.find((line) => line.includes('"/v1/segment"'))).toMatch(/^info .*"status":499/);
    await service.close();
    expect(lines.filter((line) => !line.startsWith('info'))).toEqual([]);
  });

  it('keeps the job of a client that named a key, who then asks again', async () => {
    const { began, go } = hold(fixture.stages, 'generate');
    const controller = new AbortController();
    const asked = { ...question(), idempotency_key: 'once' };
    const lost = fetch(`${gateway.url}/v1/segment`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(asked),
      signal: controller.signal,
    });
    const failed = expect(lost).rejects.toThrow('aborted');
    await began.given;
    controller.abort();
    await failed;
    const again = post('/v1/segment', asked);
    go.give();
    const response = await again;
    expect(response.status).toBe(200);
    expect(SCHEMAS.Answer.parse(await response.json()).text).toBe(TEXT);
  });

  it('takes a picture of megabytes in base64, and no other text', async () => {
    const large = Buffer.concat([png, Buffer.alloc(10 * 2 ** 20)]).toString('base64');
    const response = await post('/v1/segment', { ...question(), image: large });
    expect(response.status).toBe(200);
    for (const image of [`${large}!`, `${large.slice(0, -4)}A=`, `${large}A`, 'A', `=${large}`]) {
      const refused = await post('/v1/segment', { ...question(), image });
      expect(refused.status, image.slice(-8)).toBe(400);
      expect(SCHEMAS.Problem.parse(await refused.json()).detail).toContain('base64');
    }
  });

  it('is 503 and says when to ask again when the workers cannot finish', async () => {
    fixture.stages.generate = () => Promise.reject(new SegueError('UNAVAILABLE', 'Later.'));
    const response = await post('/v1/segment', question());
    expect([response.status, response.headers.get('retry-after')]).toEqual([503, '1']);
  });

  it('is 504 when the time allowed is over', async () => {
    fixture.stages.generate = (context) => until(context.signal);
    const response = await post('/v1/segment', { ...question(), timeout_ms: 200 });
    expect(response.status).toBe(504);
    expect(SCHEMAS.Problem.parse(await response.json()).code).toBe('DEADLINE_EXCEEDED');
  });
});

describe('jobs', () => {
  it('are submitted, looked at, watched from any point, and keep their masks', async () => {
    const submitted = await post('/v1/jobs', question());
    expect(submitted.status).toBe(202);
    const { job_id } = SCHEMAS.Job.parse(await submitted.json());
    const location = submitted.headers.get('location');
    expect(location).toBe(`/v1/jobs/${job_id}`);

    const events = await collect(serverSentEvents(await fetch(`${gateway.url}${location}/events`)));
    expect(events.at(-1)?.event).toBe('completed');
    const job = SCHEMAS.Job.parse(await (await fetch(`${gateway.url}${location}`)).json());
    expect(job).toMatchObject({ state: 'completed', instruction: 'Where is the cup?', answer: { text: TEXT } });
    expect(job.image_id).toBe(job.answer?.image_id);

    const third = events[2]!;
    const rest = await fetch(`${gateway.url}${location}/events`, { headers: { 'last-event-id': third.id! } });
    expect(await collect(serverSentEvents(rest))).toEqual(events.slice(3));
    const nothing = await fetch(`${gateway.url}${location}/events`, {
      headers: { 'last-event-id': events.at(-1)!.id! },
    });
    expect(nothing.status).toBe(204);

    const mask = await fetch(`${gateway.url}${location}/segments/0.png`);
    expect(mask.headers.get('content-type')).toBe('image/png');
    expect((await sharp(Buffer.from(await mask.arrayBuffer())).metadata()).width).toBe(WIDTH);
    await problem(await fetch(`${gateway.url}${location}/segments/7.png`), 404, 'NOT_FOUND', 'no segment 7');
  });

  it('are found again by their idempotency key', async () => {
    const headers = { 'idempotency-key': 'once' };
    const [first, second] = [await post('/v1/jobs', question(), headers), await post('/v1/jobs', question(), headers)];
    const [a, b] = [SCHEMAS.Job.parse(await first.json()), SCHEMAS.Job.parse(await second.json())];
    expect(a.job_id).toBe(b.job_id);
    const other = await post('/v1/jobs', { ...question(), instruction: 'Something else' }, headers);
    await problem(other, 409, 'ALREADY_EXISTS', 'idempotency key');
  });

  it('are cancelled by DELETE, and stay so', async () => {
    const began = signal();
    fixture.stages.generate = (context) => {
      began.give();
      return until(context.signal);
    };
    const { job_id } = SCHEMAS.Job.parse(await (await post('/v1/jobs', question())).json());
    await began.given;
    const cancel = () => fetch(`${gateway.url}/v1/jobs/${job_id}`, { method: 'DELETE' });
    expect(await (await cancel()).json()).toMatchObject({ job_id, state: 'cancelled' });
    expect(await (await cancel()).json()).toMatchObject({ job_id, state: 'cancelled' });
    const events = await collect(serverSentEvents(await fetch(`${gateway.url}/v1/jobs/${job_id}/events`)));
    expect(events.at(-1)?.event).toBe('cancelled');
  });

  it('outlive the client', async () => {
    const { began, go } = hold(fixture.stages, 'generate');
    const { job_id } = SCHEMAS.Job.parse(await (await post('/v1/jobs', question())).json());
    await began.given;
    const watcher = new AbortController();
    await fetch(`${gateway.url}/v1/jobs/${job_id}/events`, { signal: watcher.signal });
    watcher.abort();
    go.give();
    const job = async () => (await fetch(`${gateway.url}/v1/jobs/${job_id}`)).json();
    await expect.poll(job).toMatchObject({ state: 'completed' });
  });

  it('are told apart from jobs that there are not', async () => {
    for (const id of ['nope', 'f'.repeat(32)]) {
      for (const path of [`/v1/jobs/${id}`, `/v1/jobs/${id}/events`, `/v1/jobs/${id}/segments/0.png`]) {
        await problem(await fetch(`${gateway.url}${path}`), 404, 'NOT_FOUND', 'no job');
      }
    }
  });
});

describe('bad input', () => {
  const cases: readonly [name: string, body: () => unknown, status: number, code: string, says: string][] = [
    ['no instruction', () => ({ image: png.toString('base64') }), 400, 'INVALID_ARGUMENT', '"instruction" is missing'],
    [
      'an empty instruction',
      () => ({ ...question(), instruction: ' \n' }),
      400,
      'INVALID_ARGUMENT',
      '"instruction" must not be empty',
    ],
    [
      'a 10 kB instruction',
      () => ({ ...question(), instruction: 'x'.repeat(10_000) }),
      400,
      'INVALID_ARGUMENT',
      'at most 4000',
    ],
    ['neither picture nor id', () => ({ instruction: 'x' }), 400, 'INVALID_ARGUMENT', 'either the picture'],
    [
      'picture and id',
      () => ({ ...question(), image_id: 'a'.repeat(64) }),
      400,
      'INVALID_ARGUMENT',
      'either the picture',
    ],
    ['an unknown picture', () => ({ image_id: 'a'.repeat(64), instruction: 'x' }), 404, 'NOT_FOUND', 'again'],
    ['a malformed id', () => ({ image_id: '../x', instruction: 'x' }), 400, 'INVALID_ARGUMENT', '"image_id" must be'],
    [
      "an option in another interface's spelling",
      () => ({ ...question(), maxTokens: 5 }),
      400,
      'INVALID_ARGUMENT',
      '"maxTokens"',
    ],
    ['an unknown field', () => ({ ...question(), promt: 'x' }), 400, 'INVALID_ARGUMENT', '"promt"'],
    [
      'an unknown field in a turn',
      () => ({ ...question(), history: [{ instruction: 'a', answer: 'b', role: 'c' }] }),
      400,
      'INVALID_ARGUMENT',
      '"role"',
    ],
    ['an unknown mode', () => ({ ...question(), mode: 'think' }), 400, 'INVALID_ARGUMENT', 'answer, mask_only'],
    [
      'a wrong type',
      () => ({ ...question(), max_tokens: 'many' }),
      400,
      'INVALID_ARGUMENT',
      '"max_tokens" must be a number',
    ],
    ['too many tokens', () => ({ ...question(), max_tokens: 1_000_000 }), 400, 'INVALID_ARGUMENT', 'at most'],
    [
      'too long a time',
      () => ({ ...question(), timeout_ms: 1e9 }),
      400,
      'INVALID_ARGUMENT',
      '"timeout_ms" must be at most',
    ],
    ['an unknown model', () => ({ ...question(), model: 'gpt' }), 404, 'NOT_FOUND', 'tiny-random'],
    ['malformed base64', () => ({ ...question(), image: 'not base64!' }), 400, 'INVALID_ARGUMENT', 'base64'],
    ['no object', () => '[1]', 400, 'INVALID_ARGUMENT', 'JSON object'],
    ['no JSON', () => '{"instruction":', 400, 'INVALID_ARGUMENT', 'valid JSON'],
    ['0 bytes', () => ({ ...question(), image: '' }), 400, 'INVALID_ARGUMENT', 'empty'],
    [
      'no picture',
      () => ({ ...question(), image: Buffer.from('hello').toString('base64') }),
      415,
      'INVALID_ARGUMENT',
      'JPEG, PNG or WebP',
    ],
  ];

  it.each(cases)('%s', async (_name, body, status, code, says) => {
    for (const path of ['/v1/segment', '/v1/jobs']) await problem(await post(path, body()), status, code, says);
    expect(await fixture.leftovers()).toEqual([]);
  });

  it('a truncated JPEG', async () => {
    const jpeg = await photo('jpeg', 300, 200);
    const image = jpeg.subarray(0, jpeg.length - 100).toString('base64');
    await problem(await post('/v1/segment', { ...question(), image }), 400, 'INVALID_ARGUMENT', 'cut short');
    expect(await fixture.leftovers()).toEqual([]);
  });

  it('a bomb of 60 million pixels in a small PNG', async () => {
    const bomb = await sharp({
      create: { width: 10_000, height: 6_000, channels: 3, background: 'white' },
      limitInputPixels: false,
    })
      .png({ palette: true })
      .toBuffer();
    expect(bomb.length).toBeLessThan(500_000);
    await problem(
      await post('/v1/segment', { ...question(), image: bomb.toString('base64') }),
      413,
      'INVALID_ARGUMENT',
      '10000 x 6000',
    );
    expect(await fixture.leftovers()).toEqual([]);
  });

  it.each([
    ['as a form', (bytes: Buffer) => ({ body: form({ instruction: 'x' }, bytes) })],
    [
      'as JSON',
      (bytes: Buffer) => ({
        body: JSON.stringify({ image: bytes.toString('base64'), instruction: 'x' }),
        headers: { 'content-type': 'application/json' },
      }),
    ],
  ])('a body of 26 MiB %s', async (_name, request) => {
    const response = await fetch(`${gateway.url}/v1/segment`, { method: 'POST', ...request(Buffer.alloc(26 << 20)) });
    await problem(response, 413, 'INVALID_ARGUMENT', 'smaller picture|at most');
    expect(await fixture.leftovers()).toEqual([]);
  });

  it('a wrong content type', async () => {
    await problem(
      await post('/v1/segment', 'a=b', { 'content-type': 'text/plain' }),
      415,
      'INVALID_ARGUMENT',
      'multipart/form-data',
    );
  });

  it('a form with a file that is no picture field, or with two pictures, or with a text for a picture', async () => {
    const send = (body: FormData) => fetch(`${gateway.url}/v1/segment`, { method: 'POST', body });
    const wrongName = form({ instruction: 'x' }, null);
    wrongName.set('photo', new Blob(['x']), 'x.png');
    await problem(await send(wrongName), 400, 'INVALID_ARGUMENT', 'as "image"');
    await problem(await send(form({ instruction: 'x', image: 'x.png' }, null)), 400, 'INVALID_ARGUMENT', 'as a file');
    await problem(await send(form({ instruction: 'x', promt: 'y' })), 400, 'INVALID_ARGUMENT', '"promt"');
    await problem(
      await send(form({ instruction: 'x', history: '[' })),
      400,
      'INVALID_ARGUMENT',
      '"history" must be JSON',
    );
    expect(await fixture.leftovers()).toEqual([]);
  });

  it('a malformed Last-Event-ID', async () => {
    const { job_id } = SCHEMAS.Job.parse(await (await post('/v1/jobs', question())).json());
    const response = await fetch(`${gateway.url}/v1/jobs/${job_id}/events`, { headers: { 'last-event-id': 'x' } });
    await problem(response, 400, 'INVALID_ARGUMENT', 'event id');
  });

  it('an address that there is not', async () => {
    await problem(await fetch(`${gateway.url}/v1/nothing`), 404, 'NOT_FOUND', '/v1');
  });

  it('a failure of a stage tells nothing of the inside', async () => {
    fixture.stages.generate = async () => {
      throw new TypeError('secret at /srv/llm.js');
    };
    const response = await post('/v1/segment', question());
    expect(response.status).toBe(500);
    expect(await response.text()).not.toContain('secret');
  });
});

it('answers under a strict policy, names models, and serves no file above its folder', async () => {
  const page = await fetch(gateway.url);
  expect(page.headers.get('content-security-policy')).toContain("default-src 'none'");
  expect(SCHEMAS.Models.parse(await (await fetch(`${gateway.url}/v1/models`)).json()).models).toMatchObject([
    { name: 'tiny-random', is_default: true, trained: false, devices: ['cpu', 'cuda:0'] },
  ]);
  const status = await new Promise((resolve, reject) => {
    rawRequest(`${gateway.url}`, { path: '/../package.json' }, (response) => resolve(response.statusCode))
      .on('error', reject)
      .end();
  });
  expect([400, 403, 404]).toContain(status);
});

async function problem(response: Response, status: number, code: string, says: string): Promise<void> {
  expect(response.headers.get('content-type')).toContain('application/problem+json');
  const body = SCHEMAS.Problem.parse(await response.json());
  expect(body).toMatchObject({ status, code, detail: expect.stringMatching(new RegExp(says)) });
  expect(response.status).toBe(status);
}
