import { SegueError } from '@segue/core';

/** Bytes of all that is sent beside the picture. */
export const MAX_OPTIONS_BYTES = 256 * 1024;
const [MAX_DEPTH, MAX_ESCAPED_QUOTES] = [16, 10_000];
const [QUOTE, BACKSLASH] = [0x22, 0x5c];
const OPEN = new Set([...'{['].map((bracket) => bracket.charCodeAt(0)));
const CLOSE = new Set([...'}]'].map((bracket) => bracket.charCodeAt(0)));

/**
 * Looks over JSON before it is parsed: a body may hold one long text, the picture, and little else, not deeply nested.
 * Millions of small things take seconds and gigabytes once they are objects; counting them takes nothing. What is no JSON
 * at all is left to the parser.
 * @throws SegueError INVALID_ARGUMENT
 */
export function checkJson(body: Buffer): void {
  let [depth, longest, escapes] = [0, 0, 0];
  for (let at = 0; at < body.length;) {
    const byte = body[at] ?? 0;
    let next = at + 1;
    if (byte === QUOTE) {
      for (
        next = body.indexOf(QUOTE, next);
        next !== -1 && isEscaped(body, next);
        next = body.indexOf(QUOTE, next + 1)
      ) {
        if (++escapes > MAX_ESCAPED_QUOTES) throw tooMuch();
      }
      if (next === -1) return;
      next++;
      longest = Math.max(longest, next - at);
    } else if (OPEN.has(byte)) {
      if (++depth > MAX_DEPTH) {
        throw new SegueError(
          'INVALID_ARGUMENT',
          `The body is nested more than ${MAX_DEPTH} levels deep. Send it flat.`,
        );
      }
    } else if (CLOSE.has(byte)) {
      depth--;
    }
    at = next;
    if (at - longest > MAX_OPTIONS_BYTES) throw tooMuch();
  }
}

/** Whether an odd number of backslashes stands before. */
function isEscaped(body: Buffer, at: number): boolean {
  let first = at;
  while (body[first - 1] === BACKSLASH) first--;
  return (at - first) % 2 === 1;
}

function tooMuch(): SegueError {
  return new SegueError(
    'INVALID_ARGUMENT',
    `Beside the picture the body may hold ${MAX_OPTIONS_BYTES} bytes at most. Send fewer turns and options.`,
    { reason: 'TOO_LARGE' },
  );
}
