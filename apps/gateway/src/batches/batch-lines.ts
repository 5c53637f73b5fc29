import { setImmediate as nextTurn } from 'node:timers/promises';
import { linesOf } from '@segue/batches';
import { SegueError } from '@segue/core';
import { z } from 'zod';
import { checkJson } from '../http/json-limits.js';

const MAX_LINES = 50_000;
/** How long lines are looked at before others have their turn. */
const TURN_MS = 20;

/** What the lines of a batch may ask. */
export const ENDPOINTS = ['/v1/chat/completions', '/v1/segment'] as const;

/** One question of a file. */
export const LineSchema = z.object({
  custom_id: z.string().min(1).max(512),
  method: z.literal('POST'),
  url: z.string(),
  // Its endpoint looks into it.
  body: z.custom<Readonly<Record<string, unknown>>>(isObject),
});
export type Line = z.infer<typeof LineSchema>;

/** Looks at every line before any is asked. @returns how many there are. @throws SegueError INVALID_ARGUMENT, naming the first that is wrong. */
export async function checkLines(content: Buffer, endpoint: string): Promise<number> {
  const lines = linesOf(content.toString());
  if (lines.length === 0) throw wrong('The file has no line.');
  if (lines.length > MAX_LINES) throw wrong(`The file has more than ${MAX_LINES} lines. Send several files.`);
  const ids = new Set<string>();
  let turnAt = performance.now();
  for (const [index, text] of lines.entries()) {
    if (performance.now() - turnAt > TURN_MS) {
      await nextTurn();
      turnAt = performance.now();
    }
    checkSize(text, index + 1);
    const line = readLine(text);
    if (!line)
      throw wrong(
        `Line ${index + 1} is not {"custom_id": ..., "method": "POST", "url": "${endpoint}", "body": {...}}.`,
      );
    if (line.url !== endpoint)
      throw wrong(`Line ${index + 1} has another "url" than the batch's endpoint, ${endpoint}.`);
    if (ids.has(line.custom_id)) throw wrong(`Line ${index + 1} has the "custom_id" of an earlier line.`);
    ids.add(line.custom_id);
  }
  return lines.length;
}

export function readLine(text: string): Line | undefined {
  try {
    return LineSchema.safeParse(JSON.parse(text)).data;
  } catch {
    return undefined; // no JSON
  }
}

/** Before it is parsed. */
function checkSize(line: string, number: number): void {
  try {
    checkJson(Buffer.from(line));
  } catch (thrown) {
    const { code, message, reason } = SegueError.from(thrown);
    throw new SegueError(code, `Line ${number}: ${message}`, { ...(reason && { reason }) });
  }
}

function isObject(value: unknown): boolean {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function wrong(sentence: string): SegueError {
  return new SegueError('INVALID_ARGUMENT', sentence);
}
