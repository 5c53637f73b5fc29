import { SegueError } from '@segue/core';
import type { Asked } from '@segue/dialects';
import { z } from 'zod';
import { parseOptions } from './parse-options.js';

/** A question longer than this never fits a model's limit of tokens; the exact limit is checked by the worker. */
const MAX_TEXT_LENGTH = 4_000;
const MAX_TURNS = 16;
/** Pixels. */
const MAX_TOLERANCE = 100;

/** Of a whole conversation: no model's limit of tokens is so wide, and no worker need tokenise it to say so. */
const MAX_CONVERSATION_LENGTH = 16_000;
/** What takes no ink: white space, and characters that are shown as nothing. */
const UNSEEN = /[\s\p{Cc}\p{Default_Ignorable_Code_Point}\u2800]/gu;

/** Words of a person. */
const words = z
  .string()
  .max(MAX_TEXT_LENGTH, `must be at most ${MAX_TEXT_LENGTH} characters long`)
  .refine((text) => text.replace(UNSEEN, '') !== '', 'must not be empty');

function lengthOf(turns: readonly { readonly instruction: string; readonly answer: string }[]): number {
  return turns.reduce((sum, { instruction, answer }) => sum + instruction.length + answer.length, 0);
}

/** What a request may say besides the bytes of its picture. Each interface spells the options in its own way. */
export const OPTIONS = {
  imageId: z
    .string()
    .regex(/^[0-9a-f]{64}$/, 'must be the 64 hexadecimal digits that an earlier answer gave')
    .optional()
    .describe('Id of a picture that was sent before: the SHA-256 of its bytes. Instead of `image`.'),
  instruction: words.describe('What to find, in words.'),
  history: z
    .array(z.strictObject({ instruction: words, answer: words }))
    .max(MAX_TURNS, `must hold at most ${MAX_TURNS} turns`)
    .refine((turns) => lengthOf(turns) <= MAX_CONVERSATION_LENGTH, {
      error: `must be at most ${MAX_CONVERSATION_LENGTH} characters long in all; leave its oldest turns out`,
    })
    .default([])
    .describe('Earlier turns about this picture, oldest first, with the answers as they were given.'),
  mode: z.enum(['answer', 'mask_only']).default('answer').describe('`mask_only`: one mask and no words, in one step.'),
  model: z.string().min(1).optional().describe('Name of a model; the default model unless given.'),
  maxTokens: z.int().min(1).optional().describe("Longest answer in tokens; the model's own limit unless given."),
  maskFormat: z
    .enum(['rle', 'png', 'polygon'])
    .default('rle')
    .describe('`rle`: COCO, compressed, column-major. `png`: 1 bit. `polygon`: rings, even-odd.'),
  polygonTolerance: z
    .number()
    .min(0)
    .max(MAX_TOLERANCE)
    .optional()
    .describe(
      'How far in pixels a polygon may run beside its mask, for fewer points; exact unless given. 1.5 is a good start.',
    ),
  priority: z.enum(['low', 'normal', 'high']).default('normal'),
  timeoutMs: z.int().min(1).optional().describe('Time allowed for the whole job in milliseconds.'),
  idempotencyKey: z
    .string()
    .regex(/^[\x21-\x7e]{1,200}$/, 'must be 1 to 200 printable ASCII characters without spaces')
    .optional()
    .describe('The same key with the same request gives the same job.'),
  webhookUrl: z
    .string()
    .max(2_000)
    .optional()
    .describe('Called when the job has ended, with the job as its body; see the guide to jobs.'),
};

/** An option's name in here. */
export type Option = keyof typeof OPTIONS;
/** How a client's interface spells an option, for messages to that client. */
export type Spelling = (option: Option) => string;
export type Options = z.infer<z.ZodObject<typeof OPTIONS>>;

/** A request whose options have been checked, each by itself. */
export interface SegmentationCommand extends Omit<Options, 'imageId'> {
  readonly picture: { readonly bytes: Uint8Array } | { readonly imageId: string };
}

/**
 * @param image bytes of the picture, if they were sent.
 * @throws SegueError INVALID_ARGUMENT unless there are either these bytes or the id of a picture.
 */
export function toCommand(
  image: Uint8Array | undefined,
  { imageId, ...options }: Options,
  spell: Spelling,
): SegmentationCommand {
  if (image && imageId === undefined) return { ...options, picture: { bytes: image } };
  if (!image && imageId !== undefined) return { ...options, picture: { imageId } };
  throw new SegueError(
    'INVALID_ARGUMENT',
    `Send either the picture as "image" or the id of one as "${spell('imageId')}".`,
  );
}

const OptionsSchema = z.strictObject(OPTIONS);

/**
 * A question that came in another protocol, checked as all are.
 * @param options further options of the request, e.g. how masks are written.
 * @param spell the other protocol's names of the options.
 * @throws SegueError INVALID_ARGUMENT
 */
export function commandOfAsked(
  { picture, instruction, history, model, maxTokens }: Asked,
  options: Partial<Options>,
  spell: Spelling = (option) => option,
): SegmentationCommand {
  const raw = {
    ...options,
    instruction,
    ...(history && { history }),
    ...(model !== undefined && { model }),
    ...(maxTokens !== undefined && { maxTokens }),
    ...('imageId' in picture && { imageId: picture.imageId }),
  };
  return toCommand('bytes' in picture ? picture.bytes : undefined, parseOptions(OptionsSchema, raw, spell), spell);
}
