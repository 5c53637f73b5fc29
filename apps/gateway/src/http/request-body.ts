import type { MultipartValue } from '@fastify/multipart';
import { SegueError } from '@segue/core';
import type { FastifyRequest } from 'fastify';

/** A body, however it was sent: the picture's bytes, if any, and everything else unchecked. */
export interface RequestBody {
  readonly image: Uint8Array | undefined;
  readonly rest: Readonly<Record<string, unknown>>;
}

/** @throws SegueError INVALID_ARGUMENT */
export async function readBody(request: FastifyRequest): Promise<RequestBody> {
  if (request.isMultipart()) return readForm(request);
  const { body } = request;
  if (typeof body !== 'object' || body === null || Array.isArray(body)) {
    throw new SegueError('INVALID_ARGUMENT', 'The body must be a JSON object, or a form as multipart/form-data.');
  }
  const { image, ...rest } = body as Record<string, unknown>;
  return { image: image === undefined ? undefined : decodeBase64(image), rest };
}

function decodeBase64(image: unknown): Uint8Array {
  if (typeof image !== 'string' || !isBase64(image)) {
    throw new SegueError(
      'INVALID_ARGUMENT',
      '"image" must be the picture in base64, without line breaks or a "data:" prefix. To send bytes as they are, use multipart/form-data.',
    );
  }
  return Buffer.from(image, 'base64');
}

/** RFC 4648, section 4, with or without padding. No group is repeated: on megabytes that would overflow the matcher's stack. */
function isBase64(text: string): boolean {
  const digits = /^[A-Za-z0-9+/]*/.exec(text)?.[0].length ?? 0;
  const padding = text.slice(digits);
  return digits % 4 !== 1 && (padding === '' || padding === '='.repeat((4 - (digits % 4)) % 4));
}

async function readForm(request: FastifyRequest): Promise<RequestBody> {
  let image: Uint8Array | undefined;
  const rest: Record<string, unknown> = {};
  for await (const part of request.parts()) {
    if (part.fieldname in rest || (part.fieldname === 'image' && image)) {
      throw new SegueError('INVALID_ARGUMENT', `The form has more than one "${part.fieldname}". Send one.`);
    }
    if (part.type === 'file') {
      const bytes = await part.toBuffer();
      if (part.fieldname !== 'image') {
        throw new SegueError(
          'INVALID_ARGUMENT',
          `The form has a file "${part.fieldname}". Send the picture as "image".`,
        );
      }
      image = bytes;
    } else {
      rest[part.fieldname] = typed(part);
    }
  }
  return { image, rest };
}

/** A form holds texts only: the options that are none are turned into what they stand for. */
function typed({ fieldname, value }: MultipartValue): unknown {
  if (fieldname === 'image') {
    throw new SegueError('INVALID_ARGUMENT', 'Send "image" as a file, e.g. curl -F image=@photo.jpg.');
  }
  if (typeof value !== 'string') return value;
  if ((fieldname === 'max_tokens' || fieldname === 'timeout_ms') && /^\d+$/.test(value)) return Number(value);
  if (fieldname === 'history') return parseHistory(value);
  return value;
}

function parseHistory(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch (cause) {
    throw new SegueError('INVALID_ARGUMENT', '"history" must be JSON: a list of {"instruction": ..., "answer": ...}.', {
      cause,
    });
  }
}
