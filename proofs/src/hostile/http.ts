import { once } from 'node:events';
import { connect } from 'node:net';
import { text } from 'node:stream/consumers';
import { gzipSync } from 'node:zlib';
import { damaged, faultOf, below, LIMIT_MS, type Case, type Random, type Target } from './case.js';

interface Sent {
  readonly method?: string;
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Buffer;
}

/** @param refused whether it may not be taken; what is odd but harmless may be answered. */
function http(name: string, make: (target: Target) => Sent, refused = false): Case {
  return {
    name: `http: ${name}`,
    async run(target) {
      const { method = 'POST', path, headers = {}, body } = make(target);
      const response = await fetch(target.system.app('gateway').url + path, {
        method,
        headers,
        ...(body !== undefined && { body: typeof body === 'string' ? body : new Uint8Array(body) }),
        signal: AbortSignal.timeout(LIMIT_MS),
      });
      const { status } = response;
      const answer = await response.text();
      if (status >= 500 && status !== 504) return `${status}: ${answer.slice(0, 200)}`;
      if (status < 400) return refused ? `${status}: it was taken` : undefined;
      if (method === 'HEAD') return undefined;
      if (!response.headers.get('content-type')?.startsWith('application/problem+json'))
        return `${status} is no problem+json: ${answer.slice(0, 100)}`;
      const problem = JSON.parse(answer) as { status: number; detail?: string };
      if (problem.status !== status) return `status ${status} says ${problem.status}`;
      return faultOf(problem.detail ?? '', path + String(body ?? '') + JSON.stringify(headers));
    },
  };
}

const JSON_TYPE = { 'content-type': 'application/json' };
const deep = (levels: number) => '['.repeat(levels) + ']'.repeat(levels);

/** What a field may be set to: as JSON, because not all of it can be written as a value. */
const VALUES = [
  'true',
  '-1',
  '1.5',
  '1e309',
  '99999999999999999999',
  '""',
  '"\\u0000\\u001b[2J"',
  '"\\ud800"',
  '"‮​"',
  '"__proto__"',
  '"<SEG><SEG><|im_end|>"',
  '"../../etc/passwd"',
  JSON.stringify('x'.repeat(20_000)),
  '[]',
  '{}',
  '{"__proto__":{"a":1}}',
  deep(40),
  deep(5_000),
];

/** Fields of a request and what kind of JSON they may be. */
const FIELDS: readonly (readonly [field: string, kind: 'string' | 'number' | 'array' | 'none'])[] = [
  ['image', 'string'],
  ['image_id', 'string'],
  ['instruction', 'string'],
  ['history', 'array'],
  ['mode', 'string'],
  ['model', 'string'],
  ['max_tokens', 'number'],
  ['mask_format', 'string'],
  ['polygon_tolerance', 'number'],
  ['priority', 'string'],
  ['timeout_ms', 'number'],
  ['idempotency_key', 'string'],
  ['webhook_url', 'string'],
  ['unheard_of', 'none'],
  ['constructor', 'none'],
];

function kindOf(json: string): string {
  if (json.startsWith('"')) return 'string';
  if (json.startsWith('[')) return 'array';
  return /^-?\d/.test(json) ? 'number' : 'other';
}

function fields(): Case[] {
  return FIELDS.flatMap(([field, kind], at) =>
    VALUES.map((value) =>
      http(
        `${field} is ${value.slice(0, 30)}`,
        ({ imageId }) => {
          const good = { image_id: imageId, instruction: 'Where is it?', max_tokens: 4 };
          const others = Object.entries(good).filter(
            ([name]) => name !== field && !(field === 'image' && name === 'image_id'),
          );
          const rest = others.map(([name, known]) => `,${JSON.stringify(name)}:${JSON.stringify(known)}`).join('');
          return {
            path: at % 2 ? '/v1/segment' : '/v1/jobs',
            headers: JSON_TYPE,
            body: `{"${field}":${value}${rest}}`,
          };
        },
        kindOf(value) !== kind,
      ),
    ),
  );
}

function bodies(random: Random): Case[] {
  const whole = JSON.stringify({ image_id: 'a'.repeat(64), instruction: 'Where is it?', history: [] });
  const post = (name: string, body: string | Buffer, headers: Readonly<Record<string, string>> = JSON_TYPE) =>
    http(name, () => ({ path: '/v1/segment', headers, body }), true);
  const keys = (count: number) => `{${Array.from({ length: count }, (_, index) => `"k${index}":1`).join()}}`;
  return [
    ...Array.from({ length: 30 }, () => post('JSON that is cut', whole.slice(0, 1 + below(whole.length - 1, random)))),
    ...[10, 1_000, 100_000].map((count) => post(`${count} keys`, keys(count))),
    ...[100, 10_000, 500_000].map((levels) => post(`${levels} levels`, deep(levels))),
    ...['null', '1', '"text"', '[]', 'NaN', '\ufeff{}', '{"a":1}{"b":2}', '\u0000'].map((body) =>
      post(`the body ${body}`, body),
    ),
    post('bytes that are no UTF-8', Buffer.from([0x7b, 0x22, 0xff, 0xfe, 0x22, 0x3a, 0x31, 0x7d])),
    post('a body that is compressed', gzipSync(whole), { ...JSON_TYPE, 'content-encoding': 'gzip' }),
    post('a body that says it is compressed', whole, { ...JSON_TYPE, 'content-encoding': 'br' }),
    ...[
      'text/plain',
      'application/xml',
      'application/x-www-form-urlencoded',
      'image/png',
      'multipart/mixed',
      '*/*',
      'a',
    ].map((type) => post(`a body of type ${type}`, whole, { 'content-type': type })),
    post('turns without end', `{"history":[${Array.from({ length: 50_000 }, () => '{}').join()}]}`),
  ];
}

function forms(random: Random): Case[] {
  const head = { 'content-type': 'multipart/form-data; boundary=xx' };
  const form = ({ image }: Target) =>
    Buffer.concat([
      Buffer.from('--xx\r\nContent-Disposition: form-data; name="instruction"\r\n\r\nWhere is it?\r\n'),
      Buffer.from('--xx\r\nContent-Disposition: form-data; name="image"; filename="a.png"\r\n\r\n'),
      image,
      Buffer.from('\r\n--xx--\r\n'),
    ]);
  return Array.from({ length: 60 }, (_, number) =>
    http(`form ${number} with damage`, (target) => ({
      path: '/v1/segment',
      headers: head,
      body: damaged(form(target), random),
    })),
  );
}

function pictures(random: Random): Case[] {
  const upload = (name: string, body: (target: Target) => Buffer, refused = false) =>
    http(name, (target) => ({ path: '/v1/segment', headers: JSON_TYPE, body: ask(body(target)) }), refused);
  const ask = (picture: Buffer) =>
    JSON.stringify({ image: picture.toString('base64'), instruction: 'Where is it?', max_tokens: 4 });
  const sized = ({ image }: Target, width: number, height: number) => {
    const copy = Buffer.from(image);
    copy.writeUInt32BE(width, 16);
    copy.writeUInt32BE(height, 20);
    return copy;
  };
  return [
    ...Array.from({ length: 50 }, (_, number) =>
      upload(`picture ${number} with damage`, ({ image }) => damaged(image, random)),
    ),
    ...[
      [0, 0],
      [1, 2 ** 31 - 1],
      [2 ** 31 - 1, 1],
      [60_000, 60_000],
      [1, 49_000_000],
    ].map(([width = 0, height = 0]) =>
      upload(`a PNG that says ${width} x ${height}`, (target) => sized(target, width, height), true),
    ),
    ...[
      '',
      'GIF89a',
      '%PDF-1.7',
      '<svg xmlns="http://www.w3.org/2000/svg"/>',
      'RIFF\0\0\0\0WEBP',
      '\x89PNG\r\n\x1a\n',
    ].map((bytes) => upload(`a picture that is ${JSON.stringify(bytes)}`, () => Buffer.from(bytes, 'latin1'), true)),
  ];
}

const IDS = [
  '..%2f..%2fetc%2fpasswd',
  '%00',
  '%ff',
  '%',
  '__proto__',
  'constructor',
  '{segue}:job:x',
  '*',
  "'; DROP TABLE jobs; --",
  'a'.repeat(8_000),
  '0'.repeat(32),
  '🌂',
  'x y',
];

function addresses(): Case[] {
  const get = (path: string, headers: Readonly<Record<string, string>> = {}, method = 'GET') =>
    http(`${method} ${path.slice(0, 60)} ${JSON.stringify(headers)}`, ({ jobId }) => ({
      method,
      path: path.replace('JOB', jobId),
      headers,
    }));
  const encoded = IDS.map((id) => (id.startsWith('%') || id.startsWith('..') ? id : encodeURIComponent(id)));
  return [
    ...encoded.flatMap((id) => [
      get(`/v1/jobs/${id}`),
      get(`/v1/jobs/${id}/events`),
      get(`/v1/images/${id}`),
      get(`/v1/models/${id}`),
      get(`/v1/jobs/JOB/segments/${id}.png`),
      get(`/v1/jobs/${id}`, {}, 'DELETE'),
      get(`/v1/jobs?page_token=${id}`),
    ]),
    ...['-1', '0-0-0', 'x', '9'.repeat(40), ''].map((id) => get('/v1/jobs/JOB/events', { 'last-event-id': id })),
    ...['', 'a', 'text/*;q=2', ';;;', `${'a/b,'.repeat(2_000)}a/b`].map((accept) => get('/v1/jobs/JOB', { accept })),
    ...['PUT', 'PATCH', 'OPTIONS', 'HEAD', 'DELETE'].map((method) => get('/v1/segment', {}, method)),
    ...['//', '/v1//segment', '/v1/segment/', '/v2', '/%2e%2e/%2e%2e', '/?a[__proto__]=1', '/.git/config'].map((path) =>
      get(path),
    ),
  ];
}

/** What no HTTP client would send: an answer of the form 4xx, or an end, within time. */
function garbage(random: Random): Case[] {
  const raw = (name: string, bytes: string | Buffer): Case => ({
    name: `http: ${name}`,
    async run({ system }) {
      const { port, hostname } = new URL(system.app('gateway').url);
      const socket = connect(Number(port), hostname);
      await once(socket, 'connect');
      socket.on('error', () => undefined); // cut by the server, which is an answer
      const answer = text(socket).catch(() => '');
      socket.end(bytes);
      const timer = setTimeout(() => socket.destroy(), LIMIT_MS);
      const begun = performance.now();
      const answered = await answer;
      clearTimeout(timer);
      if (performance.now() - begun > LIMIT_MS - 1_000) return 'it was neither answered nor cut off';
      const status = Number(/^HTTP\/1\.1 (\d+)/.exec(answered)?.[1] ?? 400);
      return status >= 500 ? answered.slice(0, 200) : undefined;
    },
  });
  const post = (headers: string, body = '') => `POST /v1/segment HTTP/1.1\r\nHost: a\r\n${headers}\r\n\r\n${body}`;
  return [
    ...Array.from({ length: 15 }, () =>
      raw('random bytes', Buffer.from(Array.from({ length: 200 }, () => below(256, random)))),
    ),
    raw('no version', 'GET /\r\n\r\n'),
    raw('two lengths', post('Content-Length: 5\r\nContent-Length: 6', 'hello')),
    raw('length and chunks', post('Content-Length: 5\r\nTransfer-Encoding: chunked', '0\r\n\r\n')),
    raw('a negative length', post('Content-Length: -1')),
    raw('chunks that are none', post('Content-Type: application/json\r\nTransfer-Encoding: chunked', 'zz\r\n')),
    raw('a header of 100 000 bytes', post(`X: ${'a'.repeat(100_000)}`)),
    raw('10 000 headers', post(Array.from({ length: 10_000 }, (_, index) => `X${index}: 1`).join('\r\n'))),
    raw('less than it says', post('Content-Type: application/json\r\nContent-Length: 500', '{')),
    raw('HTTP/2 without asking', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'),
  ];
}

export function httpCases(random: Random): Case[] {
  return [...fields(), ...bodies(random), ...forms(random), ...pictures(random), ...addresses(), ...garbage(random)];
}
