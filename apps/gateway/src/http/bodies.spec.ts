import { request as rawRequest } from 'node:http';
import { gzipSync } from 'node:zlib';
import { beforeEach, describe, expect, it } from 'vitest';
import { photo, TEXT, useGateway } from '../gateway.fixture.js';
import { MAX_OPTIONS_BYTES } from './json-limits.js';
import { SCHEMAS, type Body } from './schemas.js';

const fixture = useGateway();
const FORM = 'multipart/form-data; boundary=xx';
let png: Buffer;

beforeEach(async () => {
  png = await photo();
});

const part = (head: string, value: string | Buffer) =>
  Buffer.concat([Buffer.from(`--xx\r\n${head}\r\n\r\n`), Buffer.from(value), Buffer.from('\r\n')]);
const image = (bytes = png) => part('Content-Disposition: form-data; name="image"; filename="a.png"', bytes);
const text = (name: string, value: string) => part(`Content-Disposition: form-data; name="${name}"`, value);
const instruction = () => text('instruction', 'Where is the cup?');
const END = Buffer.from('--xx--\r\n');
const whole = (...parts: Buffer[]) => Buffer.concat([...parts, END]);

function post(path: string, body: Buffer | string, type: string, headers: Record<string, string> = {}) {
  return fetch(`${fixture.gateway.url}${path}`, {
    method: 'POST',
    headers: { 'content-type': type, ...headers },
    body: typeof body === 'string' ? body : new Uint8Array(body),
    signal: AbortSignal.timeout(5_000),
  });
}

async function refused(response: Response, status: number, says: RegExp): Promise<Body<'Problem'>> {
  const problem = SCHEMAS.Problem.parse(await response.json());
  expect(problem.detail).toMatch(says);
  expect([response.status, problem.status]).toEqual([status, status]);
  return problem;
}

describe('a form that is', () => {
  const faults: [name: string, body: () => Buffer, type: string, says: RegExp][] = [
    ['sent without a boundary', () => whole(image(), instruction()), 'multipart/form-data', /names no boundary/],
    ['sent with an empty boundary', () => whole(image(), instruction()), 'multipart/form-data; boundary=', /names no/],
    [
      'delimited by another boundary',
      () => whole(image(), instruction()),
      'multipart/form-data; boundary=yy',
      /not in/,
    ],
    ['empty', () => Buffer.alloc(0), FORM, /not in it/],
    ['not closed', () => Buffer.concat([image(), instruction()]), FORM, /cut off/],
    ['cut inside the picture', () => Buffer.concat([instruction(), image()]).subarray(0, -20), FORM, /cut off/],
    ['written with bare line feeds', () => bareLineFeeds(whole(instruction())), FORM, /headers .* do not end|CR LF/],
    [
      'made of JSON that is none',
      () =>
        whole(part('Content-Disposition: form-data; name="instruction"\r\nContent-Type: application/json', 'Where')),
      FORM,
      /"instruction" must be JSON/,
    ],
    ['of two pictures', () => whole(image(), image(), instruction()), FORM, /more than one "image"/],
    [
      'with a file for the instruction',
      () => whole(image(), part('Content-Disposition: form-data; name="instruction"; filename="q.txt"', 'Where?')),
      FORM,
      /a file "instruction"/,
    ],
    [
      'with another file',
      () => whole(image(), part('Content-Disposition: form-data; name="mask"; filename="m"', 'x')),
      FORM,
      /"mask"/,
    ],
    [
      'of 21 fields',
      () => whole(image(), ...Array.from({ length: 20 }, (_, i) => text(`f${i}`, 'x'))),
      FORM,
      /"f19" is one too many/,
    ],
    ['long in its names', () => whole(text('n'.repeat(5_000), 'x')), FORM, /"n{40}…"/],
    ['long in its headers', () => whole(text('n'.repeat(9_000), 'x')), FORM, /headers of a part/],
  ];
  it.each(faults)('%s is 400', async (_, body, type, says) => {
    for (const path of ['/v1/segment', '/v1/jobs']) await refused(await post(path, body(), type), 400, says);
    expect(await fixture.leftovers()).toEqual([]);
  });

  it.each([
    ['no Content-Disposition', 'Content-Type: image/jpeg'],
    ['another disposition', 'Content-Disposition: attachment; filename="a.jpg"\r\nContent-Type: image/jpeg'],
    ['no name', 'Content-Disposition: form-data; filename="a.jpg"\r\nContent-Type: image/jpeg'],
  ])('of a part with %s is answered at once', async (_, head) => {
    for (const size of [1_000, 500_000]) {
      await refused(
        await post('/v1/segment', whole(part(head, Buffer.alloc(size)), instruction()), FORM),
        400,
        /no name/,
      );
    }
  });

  it('of too many words is 413', async () => {
    const long = text('history', ' '.repeat(MAX_OPTIONS_BYTES + 1));
    await refused(await post('/v1/segment', whole(image(), long, instruction()), FORM), 413, /texts/);
  });

  it.each([
    [
      'unquoted names',
      whole(
        part("content-disposition: form-data; name=image; filename=a.png; filename*=utf-8''a.png", 'PNG'),
        instruction(),
      ),
    ],
    [
      'a preamble, spaces after the boundary and an epilogue',
      Buffer.concat([
        Buffer.from('Hello\r\n'),
        whole(
          image(Buffer.from('PNG')),
          Buffer.from('--xx \t\r\nContent-Disposition: form-data; name="instruction"\r\n\r\nx\r\n'),
        ),
        Buffer.from('Bye'),
      ]),
    ],
    [
      'a picture that holds something like the boundary',
      whole(image(Buffer.from('PNG\r\n--xxy\r\n--x')), instruction()),
    ],
    ['an empty text', whole(text('mode', ''), image(Buffer.from('PNG')), instruction()), /mode\\" must be one of/],
  ])('written in another way is read: %s', async (_, body, says?: RegExp) => {
    const picture = Buffer.concat([
      Buffer.from(body.subarray(0, body.indexOf('PNG'))),
      png,
      body.subarray(body.indexOf('PNG') + 3),
    ]);
    const response = await post('/v1/segment', picture, 'Multipart/Form-Data; charset=utf-8; boundary="xx"');
    const read = response.ok ? SCHEMAS.Answer.parse(await response.json()).text : await response.text();
    expect(read).toMatch(says ?? TEXT);
  });
});

function bareLineFeeds(body: Buffer): Buffer {
  return Buffer.from(body.toString('latin1').replaceAll('\r\n', '\n'), 'latin1');
}

const MILLION_KEYS = `{${Array.from({ length: 1_000_000 }, (_, i) => `"k${i}":0`).join()}}`;

describe('JSON', () => {
  const question = (more: object = {}) => ({
    image: png.toString('base64'),
    instruction: 'Where is the cup?',
    ...more,
  });
  const json = (body: unknown, headers = {}) =>
    post('/v1/segment', typeof body === 'string' ? body : JSON.stringify(body), 'application/json', headers);

  it.each([
    'history',
    'model',
    'max_tokens',
    'timeout_ms',
    'idempotency_key',
    'mode',
    'mask_format',
    'priority',
    'image_id',
  ])('null for "%s" counts as left out', async (option) => {
    expect((await json(question({ [option]: null }))).status).toBe(200);
  });

  it('null for what is needed counts as left out', async () => {
    await refused(await json(question({ instruction: null })), 400, /"instruction" is missing/);
    await refused(await json(question({ image: null })), 400, /either the picture/);
  });

  it.each([
    ['base64url', () => png.toString('base64url')],
    ['base64url with padding', () => png.toString('base64').replaceAll('+', '-').replaceAll('/', '_')],
    ['a data: URL', () => `data:image/png;base64,${png.toString('base64')}`],
    ['a data: URL with parameters', () => `data:image/png;name=a.png;base64,${png.toString('base64')}`],
  ])('a picture as %s is taken', async (_, write) => {
    expect((await json(question({ image: write() }))).status).toBe(200);
  });

  it('a mixture of alphabets is not', async () => {
    await refused(await json(question({ image: '+-+-' })), 400, /base64/);
    await refused(await json(question({ image: 'data:image/png,abcd' })), 400, /base64/);
  });

  it.each(['\u200b', '\u2060\ufeff', '\u3164', ' \u00ad\n'])(
    'an instruction that nobody sees is empty (%j)',
    async (unseen) => {
      await refused(await json(question({ instruction: unseen })), 400, /"instruction" must not be empty/);
    },
  );

  it('takes the model as answers name it', async () => {
    const { model } = SCHEMAS.Answer.parse(await (await json(question())).json());
    expect(model).toBe('tiny-random@0.1.0');
    expect((await json(question({ model }))).status).toBe(200);
    await refused(await json(question({ model: 'tiny-random@9.9.9' })), 404, /tiny-random/);
  });

  it('says of a number that is out of all bounds that it is too large', async () => {
    await refused(await json(question({ timeout_ms: 2 ** 60 })), 400, /"timeout_ms" is too large/);
  });

  it('that is compressed is 415', async () => {
    const body = gzipSync(JSON.stringify(question()));
    const response = await post('/v1/segment', body, 'application/json', { 'content-encoding': 'gzip' });
    await refused(response, 415, /compressed/);
    expect((await json(question(), { 'content-encoding': 'identity' })).status).toBe(200);
  });

  it.each([
    ['a million keys', MILLION_KEYS, 413, /at most/],
    ['millions of turns', `{"history":[${'{},'.repeat(2_000_000)}{}]}`, 413, /at most/],
    ['a text of escaped quotes', `{"instruction":"${'\\"'.repeat(500_000)}"}`, 413, /at most/],
    ['deep nesting', `{"history":${'['.repeat(1_000)}${']'.repeat(1_000)}}`, 400, /nested/],
    ['a poisoned prototype', '{"__proto__":{"mode":"answer"}}', 400, /valid JSON/],
  ])('%s is refused before it is parsed', async (_, body, status, says) => {
    const problem = await refused(await json(body), status, says);
    expect(JSON.stringify(problem).length).toBeLessThan(1_000);
  });

  it.each([
    '/v1/jobs',
    '/v1/images',
    '/v1/chat/completions',
    '/v1/batches',
    '/v2/models/tiny-random/infer',
    '/cvat',
    '/label-studio/predict',
  ])('a million keys are refused at %s too', async (path) => {
    const response = await post(path, MILLION_KEYS, 'application/json');
    expect([response.status, await response.text()]).toEqual([413, expect.stringMatching(/at most/)]);
  });

  it('a million keys are refused before values of the Open Inference Protocol', async () => {
    const headers = { 'inference-header-content-length': String(MILLION_KEYS.length) };
    const response = await post(
      '/v2/models/tiny-random/infer',
      `${MILLION_KEYS}values`,
      'application/octet-stream',
      headers,
    );
    expect([response.status, await response.text()]).toEqual([413, expect.stringMatching(/at most/)]);
  });

  it('a conversation longer than any model reads is refused', async () => {
    const turn = { instruction: 'x'.repeat(3_000), answer: 'y'.repeat(3_000) };
    await refused(await json(question({ history: [turn, turn, turn] })), 400, /"history" must be at most 16000/);
  });

  it('many bad options get a short answer', async () => {
    const many = Object.fromEntries(Array.from({ length: 5_000 }, (_, i) => [`option${'x'.repeat(20)}${i}`, 1]));
    const problem = await refused(await json(question(many)), 400, /and 4995 more/);
    expect(JSON.stringify(problem).length).toBeLessThan(1_500);
  });
});

it('Idempotency-Key counts on /v1/segment as on /v1/jobs', async () => {
  const body = JSON.stringify({ image: png.toString('base64'), instruction: 'Where?' });
  for (const path of ['/v1/segment', '/v1/jobs']) {
    const ask = () => post(path, body, 'application/json', { 'idempotency-key': path });
    const ids = [await ask(), await ask()].map(
      async (response) => ((await response.json()) as { job_id: string }).job_id,
    );
    expect(await ids[0]).toBe(await ids[1]);
  }
  const both = JSON.stringify({ image: png.toString('base64'), instruction: 'Where?', idempotency_key: 'a' });
  await refused(await post('/v1/segment', both, 'application/json', { 'idempotency-key': 'b' }), 400, /differ/);
});

it.each(['multipart/form-data; boundary=xx', 'application/json'])(
  'a client that goes away while it sends is 499 and no error (%s)',
  async (type) => {
    const lines: string[] = [];
    const { service } = await fixture.create({ SEGUE_LOG_LEVEL: 'info' });
    const { logger } = service;
    for (const level of ['info', 'error', 'warn'] as const) {
      logger[level] = ((fields: object) => lines.push(`${level} ${JSON.stringify(fields)}`)) as never;
    }
    const url = await service.start();
    const leaving = rawRequest(`${url}/v1/segment`, {
      method: 'POST',
      headers: { 'content-type': type, 'content-length': '100000' },
    });
    leaving.on('error', () => undefined);
    leaving.write(type.includes('json') ? '{"image":"' : image());
    await new Promise((resolve) => setTimeout(resolve, 100));
    leaving.destroy();
    const answered = () => lines.find((line) => line.includes('/v1/segment'));
    await expect.poll(answered, { timeout: 5_000 }).toContain('"status":499');
    expect(lines.filter((line) => line.startsWith('error'))).toEqual([]);
    await service.close();
  },
);
