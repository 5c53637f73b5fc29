import { SegueError } from '@segue/core';
import { quote } from '../segmentation/parse-options.js';

/*
 * The body is there as a whole, since a picture is looked at as a whole: so a form is read in place, without copying
 * the picture, and whatever is wrong with it is known before anything of it is used. The streaming parsers that there
 * are never answer for a part without a name.
 */

/** A part of a form. */
export interface FormPart {
  readonly name: string;
  /** Whether it was sent as a file. */
  readonly file: boolean;
  /** Its type of content in lower case, without parameters; `text/plain` unless given. */
  readonly type: string;
  readonly value: Buffer;
}

const [MAX_PARTS, MAX_HEADER_BYTES] = [20, 8 * 1024];
const [LINE, BLANK_LINE] = ['\r\n', '\r\n\r\n'];
const CLOSE = '--';

/**
 * Reads a form (multipart/form-data, RFC 7578, over RFC 2046).
 * @throws SegueError INVALID_ARGUMENT that says what is wrong with it.
 */
export function parseForm(body: Buffer, contentType: string): FormPart[] {
  const delimiter = `${LINE}--${boundaryOf(contentType)}`;
  const parts: FormPart[] = [];
  for (let at = startOf(body, delimiter); !startsWith(body, CLOSE, at);) {
    const begin = body.indexOf(LINE, at);
    const headersEnd = begin === -1 ? -1 : body.subarray(begin, begin + MAX_HEADER_BYTES).indexOf(BLANK_LINE);
    if (headersEnd === -1) throw unreadable('The headers of a part do not end.');
    // An empty part may share the end of its line with its headers.
    const end = endOf(body, delimiter, begin + headersEnd + LINE.length);
    const value = body.subarray(Math.min(begin + headersEnd + BLANK_LINE.length, end), end);
    const part = { ...readHeaders(body.toString('utf8', begin, begin + headersEnd)), value };
    if (parts.length === MAX_PARTS) {
      throw unreadable(`It has more than ${MAX_PARTS} parts; ${quote(part.name)} is one too many.`);
    }
    parts.push(part);
    at = end + delimiter.length;
  }
  return parts;
}

function boundaryOf(contentType: string): string {
  const [, quoted, plain] = /;\s*boundary=(?:"([^"]*)"|([^\s;"]*))/i.exec(contentType) ?? [];
  const boundary = quoted ?? plain ?? '';
  if (boundary !== '' && boundary.length <= 70) return boundary;
  throw unreadable('Its Content-Type names no boundary. Let your HTTP library set the header.');
}

/** Where the first delimiter ends. */
function startOf(body: Buffer, delimiter: string): number {
  const first = delimiter.slice(LINE.length);
  if (startsWith(body, first, 0)) return first.length;
  const at = body.indexOf(delimiter);
  if (at !== -1) return at + delimiter.length;
  throw unreadable('The boundary that its Content-Type names is not in it.');
}

/** Where the next delimiter begins: a line of the boundary alone, or with the mark of the form's end. */
function endOf(body: Buffer, delimiter: string, from: number): number {
  for (let at = body.indexOf(delimiter, from); at !== -1; at = body.indexOf(delimiter, at + 1)) {
    const rest = body.toString('latin1', at + delimiter.length, at + delimiter.length + 70);
    if (/^(--|[ \t]*\r\n)/.test(rest)) return at;
  }
  throw unreadable('It was cut off, or is not closed by its boundary, or its lines do not end in CR LF.');
}

function readHeaders(text: string): Omit<FormPart, 'value'> {
  const headers = new Map(
    text.split(LINE).flatMap((line): [string, string][] => {
      const colon = line.indexOf(':');
      return colon === -1 ? [] : [[line.slice(0, colon).trim().toLowerCase(), line.slice(colon + 1).trim()]];
    }),
  );
  const disposition = headers.get('content-disposition') ?? '';
  const parameters = new Map(
    [...disposition.matchAll(/;\s*([\w*]+)=(?:"((?:[^"\\]|\\.)*)"|([^\s;]*))/g)].map(
      ([, key = '', quoted, plain = '']) => [key.toLowerCase(), quoted?.replace(/\\(.)/g, '$1') ?? plain],
    ),
  );
  const name = parameters.get('name') ?? '';
  if (name === '' || !/^form-data\b/i.test(disposition)) {
    throw unreadable(
      'A part of it has no name: each needs a header like Content-Disposition: form-data; name="image".',
    );
  }
  const type = (headers.get('content-type') ?? 'text/plain').split(';', 1)[0]?.trim().toLowerCase() ?? '';
  return { name, type, file: parameters.has('filename') || parameters.has('filename*') };
}

function startsWith(body: Buffer, text: string, at: number): boolean {
  return body.toString('latin1', at, at + text.length) === text;
}

function unreadable(problem: string): SegueError {
  return new SegueError('INVALID_ARGUMENT', `The form cannot be read. ${problem}`);
}
