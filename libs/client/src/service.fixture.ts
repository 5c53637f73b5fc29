import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { encodeMask } from '@segue/core';

export const MASK = encodeMask(new Uint8Array([0, 1, 1, 0, 1, 0]), 2, 3);
const SEGMENT = { index: 0, phrase: 'the cup', span: [0, 7], mask: MASK, box: [0, 0, 3, 2], area: 3, score: 0.5 };
/** As the service sends it. */
export const ANSWER_BODY = {
  job_id: 'j1',
  text: 'the cup <SEG>.',
  segments: [SEGMENT],
  model: 'tiny@1',
  finish_reason: 'stop',
  timings_ms: { queue: 1, encode: 2, generate: 3, decode: 4, total: 12 },
  cache: { image: true, prefix: false },
  image_id: 'i1',
};
/** As the client gives it. */
export const ANSWER = {
  jobId: 'j1',
  text: 'the cup <SEG>.',
  segments: [SEGMENT],
  model: 'tiny@1',
  finishReason: 'stop',
  timingsMs: { queue: 1, encode: 2, generate: 3, decode: 4, total: 12 },
  cache: { image: true, prefix: false },
  imageId: 'i1',
};

const place = (id: number) => ({ id: `${id}-0`, job_id: 'j1', at_ms: id });
export const EVENTS = [
  { type: 'accepted', ...place(1), image_id: 'i1' },
  { type: 'stage', ...place(2), stage: 'encode', done: true, cached: true },
  { type: 'of a later version', ...place(3), queue_position: 3 },
  { type: 'text', ...place(4), offset: 0, text: 'the cup <SEG>.' },
  { type: 'segment', ...place(5), segment: SEGMENT },
  { type: 'completed', ...place(6), answer: ANSWER_BODY },
];

export function frame(event: (typeof EVENTS)[number]): string {
  return `id: ${event.id}\nevent: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`;
}

/** A request that has arrived. */
export interface Arrived {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingMessage['headers'];
  /** A form's fields; the picture as text. */
  readonly fields: Readonly<Record<string, string>>;
}

export type Behave = (request: Arrived, response: ServerResponse) => void | Promise<void>;

/** An HTTP server that answers as a test says and remembers what arrived. */
export class FakeService {
  readonly arrived: Arrived[] = [];
  behave: Behave = (_request, response) => void response.end();
  readonly #server: Server;

  private constructor() {
    this.#server = createServer((request, response) => void this.#answer(request, response));
  }

  static async start(): Promise<FakeService> {
    const service = new FakeService();
    service.#server.listen(0, '127.0.0.1');
    await once(service.#server, 'listening');
    return service;
  }

  /** With a path, as behind a proxy. */
  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/segue/`;
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, 'close');
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = '', url = '', headers } = request;
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const arrived = { method, url, headers, fields: await fieldsOf(Buffer.concat(chunks), headers['content-type']) };
    this.arrived.push(arrived);
    await this.behave(arrived, response);
  }
}

async function fieldsOf(body: Buffer, type: string | undefined): Promise<Record<string, string>> {
  if (!type?.startsWith('multipart/form-data')) return {};
  const form = await new Response(new Uint8Array(body), { headers: { 'content-type': type } }).formData();
  const fields: Record<string, string> = {};
  for (const [name, value] of form.entries()) fields[name] = typeof value === 'string' ? value : await value.text();
  return fields;
}

export function json(response: ServerResponse, status: number, body: unknown, headers: Record<string, string> = {}) {
  response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body));
}

export function problem(response: ServerResponse, status: number, code: string, headers: Record<string, string> = {}) {
  json(response, status, { status, code, detail: `It is ${code}.`, details: { some_limit: 5 } }, headers);
}
