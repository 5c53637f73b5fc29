import { SegueError } from '@segue/core';
import { z } from 'zod';

/** A question longer than this never fits a model's limit of tokens; the exact limit is checked by the worker. */
const MAX_TEXT_LENGTH = 4_000;
const MAX_TURNS = 16;

/** Words of a person. */
const words = z
  .string()
  .max(MAX_TEXT_LENGTH, `must be at most ${MAX_TEXT_LENGTH} characters long`)
  .refine((text) => text.trim() !== '', 'must not be empty');

/**
 * The options of a request besides the bytes of its picture, in the names of both public interfaces. Unknown ones are
 * refused: an option that is silently ignored would be an answer to another question.
 */
export const RequestOptionsSchema = z.strictObject({
  image_id: z
    .string()
    .regex(/^[0-9a-f]{64}$/, 'must be the 64 hexadecimal digits that an earlier answer gave')
    .optional()
    .describe('Id of a picture that was sent before: the SHA-256 of its bytes. Instead of `image`.'),
  instruction: words.describe('What to find, in words.'),
  history: z
    .array(z.strictObject({ instruction: words, answer: words }))
    .max(MAX_TURNS, `must hold at most ${MAX_TURNS} turns`)
    .default([])
    .describe('Earlier turns about this picture, oldest first, with the answers as they were given.'),
  mode: z.enum(['answer', 'mask_only']).default('answer').describe('`mask_only`: one mask and no words, in one step.'),
  model: z.string().min(1).optional().describe('Name of a model; the default model unless given.'),
  max_tokens: z.int().min(1).optional().describe("Longest answer in tokens; the model's own limit unless given."),
  mask_format: z
    .enum(['rle', 'png', 'polygon'])
    .default('rle')
    .describe('`rle`: COCO, compressed, column-major. `png`: 1 bit. `polygon`: rings, even-odd.'),
  priority: z.enum(['low', 'normal', 'high']).default('normal'),
  timeout_ms: z.int().min(1).optional().describe('Time allowed for the whole job in milliseconds.'),
  idempotency_key: z
    .string()
    .regex(/^[\x21-\x7e]{1,200}$/, 'must be 1 to 200 printable ASCII characters without spaces')
    .optional()
    .describe('The same key with the same request gives the same job.'),
});

export type RequestOptions = z.infer<typeof RequestOptionsSchema>;

/** A checked request. */
export interface SegmentationCommand {
  readonly picture: { readonly bytes: Uint8Array } | { readonly imageId: string };
  readonly options: Omit<RequestOptions, 'image_id'>;
}

/**
 * @param image bytes of the picture, if they were sent.
 * @param raw the other options, unchecked.
 * @throws SegueError INVALID_ARGUMENT
 */
export function parseCommand(image: Uint8Array | undefined, raw: unknown): SegmentationCommand {
  const { image_id: imageId, ...options } = parseOptions(RequestOptionsSchema, raw);
  if ((image === undefined) === (imageId === undefined)) {
    throw new SegueError('INVALID_ARGUMENT', 'Send either the picture as "image" or the id of one as "image_id".');
  }
  return { picture: imageId === undefined ? { bytes: image ?? new Uint8Array() } : { imageId }, options };
}

/** @throws SegueError INVALID_ARGUMENT that says of every bad option what is wrong with it. */
export function parseOptions<S extends z.ZodType>(schema: S, raw: unknown): z.infer<S> {
  const result = schema.safeParse(raw, { error: sentence });
  if (result.success) return result.data;
  const fields = result.error.issues.map(({ path, message }) => ({ field: nameOf(path), problem: message }));
  const sentences = fields.map(({ field, problem }) => (field === '' ? problem : `"${field}" ${problem}.`));
  throw new SegueError('INVALID_ARGUMENT', sentences.join(' '), { details: { fields } });
}

function nameOf(path: readonly PropertyKey[]): string {
  return path
    .map((part) => (typeof part === 'number' ? `[${part}]` : `.${String(part)}`))
    .join('')
    .replace(/^\./, '');
}

/** What is wrong, to be read after the option's name. */
const sentence: z.core.$ZodErrorMap = (issue) => {
  switch (issue.code) {
    case 'unrecognized_keys':
      return `There is no option ${issue.keys.map((key) => `"${key}"`).join(', ')}. Leave it out or check its spelling.`;
    case 'invalid_type':
      return issue.input === undefined ? 'is missing' : `must be ${ARTICLES[issue.expected] ?? issue.expected}`;
    case 'invalid_value':
      return `must be one of ${issue.values.map(String).join(', ')}`;
    case 'too_small':
      return issue.origin === 'string' ? 'must not be empty' : `must be at least ${String(issue.minimum)}`;
    case 'too_big':
      return `must be at most ${String(issue.maximum)}`;
    default:
      return undefined;
  }
};

const ARTICLES: Readonly<Record<string, string>> = {
  string: 'a text',
  number: 'a number',
  int: 'a whole number',
  array: 'a list',
  object: 'an object',
};
