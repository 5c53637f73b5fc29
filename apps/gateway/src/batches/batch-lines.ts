import { linesOf } from '@segue/batches';
import { SegueError } from '@segue/core';
import { z } from 'zod';

const MAX_LINES = 50_000;

/** What the lines of a batch may ask. */
export const ENDPOINTS = ['/v1/chat/completions', '/v1/segment'] as const;

/** One question of a file. */
export const LineSchema = z.object({
  custom_id: z.string().min(1).max(512),
  method: z.literal('POST'),
  url: z.string(),
  body: z.record(z.string(), z.unknown()),
});
export type Line = z.infer<typeof LineSchema>;

/** Looks at every line before any is asked. @returns how many there are. @throws SegueError INVALID_ARGUMENT, naming the first that is wrong. */
export function checkLines(content: Buffer, endpoint: string): number {
  const lines = linesOf(content.toString());
  if (lines.length === 0) throw wrong('The file has no line.');
  if (lines.length > MAX_LINES) throw wrong(`The file has more than ${MAX_LINES} lines. Send several files.`);
  const ids = new Set<string>();
  for (const [index, text] of lines.entries()) {
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

function wrong(sentence: string): SegueError {
  return new SegueError('INVALID_ARGUMENT', sentence);
}
