import { SegueError } from '@segue/core';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { quote } from '../segmentation/parse-options.js';
import { checkJson, MAX_OPTIONS_BYTES } from './json-limits.js';
import { HttpRefusal } from './problem.js';
import { parseForm, type FormPart } from './multipart.js';

/** A body, however it was sent: the picture's bytes, if any, and everything else unchecked. */
export interface RequestBody {
  readonly image: Uint8Array | undefined;
  readonly rest: Readonly<Record<string, unknown>>;
}

/** How many bytes of a body are JSON, in the Open Inference Protocol; values follow them. */
export const JSON_LENGTH = 'inference-header-content-length';

/** Makes a server read JSON and forms, each within its limits, and nothing else. */
export function addBodyParsers(fastify: FastifyInstance): void {
  fastify.removeAllContentTypeParsers();
  const parseJson = fastify.getDefaultJsonParser('error', 'error');
  fastify.addContentTypeParser('application/json', { parseAs: 'buffer' }, (request, body: Buffer, done) => {
    try {
      checkJson(body);
    } catch (error) {
      done(error as Error);
      return;
    }
    void parseJson(request, body.toString(), done);
  });
  fastify.addContentTypeParser(
    'multipart/form-data',
    { parseAs: 'buffer' },
    async (request: FastifyRequest, body: Buffer) => new Form(parseForm(body, request.headers['content-type'] ?? '')),
  );
  fastify.addContentTypeParser(
    'application/octet-stream',
    { parseAs: 'buffer' },
    async ({ url }: FastifyRequest, body: Buffer) => {
      // JSON with values behind it, in the Open Inference Protocol alone.
      if (url.startsWith('/v2/')) return body;
      throw new HttpRefusal(415, NOT_A_BODY);
    },
  );
  fastify.addHook('onRequest', async ({ url, headers }) => {
    // Triton's client for HTTP says nothing of its bodies but how long their JSON is.
    if (!url.startsWith('/v2/') || headers['content-type'] !== undefined) return;
    headers['content-type'] = JSON_LENGTH in headers ? 'application/octet-stream' : 'application/json';
  });
  fastify.addHook('onRequest', async ({ headers }) => {
    const encoding = headers['content-encoding'] ?? 'identity';
    if (encoding.toLowerCase() === 'identity') return;
    throw new HttpRefusal(
      415,
      new SegueError(
        'INVALID_ARGUMENT',
        'The body is compressed, as its Content-Encoding says. Send it as it is: pictures are compressed already.',
      ),
      { 'accept-encoding': 'identity' },
    );
  });
}

const NOT_A_BODY = new SegueError(
  'INVALID_ARGUMENT',
  'Send the body as application/json or multipart/form-data, and say so in Content-Type.',
);

class Form {
  constructor(readonly parts: readonly FormPart[]) {}
}

/** An option that is null counts as left out: many languages' clients write so what is not set. @throws SegueError INVALID_ARGUMENT */
export function readBody({ body }: Pick<FastifyRequest, 'body'>): RequestBody {
  if (body instanceof Form) return readForm(body.parts);
  if (typeof body !== 'object' || body === null || Array.isArray(body)) {
    throw new SegueError('INVALID_ARGUMENT', 'The body must be a JSON object, or a form as multipart/form-data.');
  }
  const { image, ...rest } = Object.fromEntries(Object.entries(body).filter(([, value]) => value !== null));
  return { image: image === undefined ? undefined : decodeBase64(image), rest };
}

/** The parts of a form, as they are. @throws SegueError INVALID_ARGUMENT for any other body. */
export function readParts({ body }: Pick<FastifyRequest, 'body'>): readonly FormPart[] {
  if (body instanceof Form) return body.parts;
  throw new SegueError('INVALID_ARGUMENT', 'The body must be a form as multipart/form-data.');
}

const DATA_URL = /^data:[^,]{0,200};base64,/i;

function decodeBase64(image: unknown): Uint8Array {
  const digits = typeof image === 'string' ? image.replace(DATA_URL, '') : undefined;
  if (digits !== undefined && isBase64(digits)) return Buffer.from(digits, 'base64');
  throw new SegueError(
    'INVALID_ARGUMENT',
    '"image" must be the picture in base64 without line breaks, or a data: URL of it. To send bytes as they are, use multipart/form-data.',
  );
}

/** RFC 4648, sections 4 and 5, with or without padding. No group is repeated: on megabytes that would overflow the matcher's stack. */
function isBase64(text: string): boolean {
  const usual = /^[A-Za-z0-9+/]*/.exec(text)?.[0].length ?? 0;
  const digits = Math.max(usual, /^[A-Za-z0-9_-]*/.exec(text)?.[0].length ?? 0);
  const padding = text.slice(digits);
  return digits % 4 !== 1 && (padding === '' || padding === '='.repeat((4 - (digits % 4)) % 4));
}

function readForm(parts: readonly FormPart[]): RequestBody {
  let image: Uint8Array | undefined;
  let bytes = 0;
  const rest = new Map<string, unknown>();
  for (const part of parts) {
    const { name, value } = part;
    if (rest.has(name) || (name === 'image' && image)) {
      throw new SegueError('INVALID_ARGUMENT', `The form has more than one ${quote(name)}. Send one.`);
    }
    if (name === 'image' && isFile(part)) {
      image = value;
      continue;
    }
    bytes += value.byteLength;
    if (bytes > MAX_OPTIONS_BYTES) {
      throw new SegueError('INVALID_ARGUMENT', `The form's texts have more than ${MAX_OPTIONS_BYTES} bytes in all.`, {
        reason: 'TOO_LARGE',
      });
    }
    const typed = valueOf(part);
    if (typed !== null) rest.set(name, typed);
  }
  return { image, rest: Object.fromEntries(rest) };
}

function isFile({ file, type }: FormPart): boolean {
  return file || type === 'application/octet-stream' || type.startsWith('image/');
}

/** A form holds texts only: the options that are none are turned into what they stand for. */
function valueOf(part: FormPart): unknown {
  const { name, type, value } = part;
  if (name === 'image') {
    throw new SegueError('INVALID_ARGUMENT', 'Send "image" as a file, e.g. curl -F image=@photo.jpg.');
  }
  if (part.file) {
    throw new SegueError(
      'INVALID_ARGUMENT',
      `The form has a file ${quote(name)}. Send the picture as "image", and all else as texts.`,
    );
  }
  const text = value.toString();
  if (NUMBERS.has(name) && /^\d+(\.\d+)?$/.test(text)) return Number(text);
  if (type === 'application/json' || name === 'history') return parsePart(name, value);
  return text;
}

const NUMBERS: ReadonlySet<string> = new Set(['max_tokens', 'timeout_ms', 'polygon_tolerance']);

function parsePart(name: string, value: Buffer): unknown {
  checkJson(value);
  try {
    return JSON.parse(value.toString());
  } catch (cause) {
    const shape = name === 'history' ? ': a list of {"instruction": ..., "answer": ...}' : ', as its Content-Type says';
    throw new SegueError('INVALID_ARGUMENT', `${quote(name)} must be JSON${shape}.`, { cause });
  }
}
