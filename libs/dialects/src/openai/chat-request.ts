import { SegueError } from '@segue/core';
import { z } from 'zod';
import { bytesOf, type Asked, type AskedPicture } from '../asked.js';

const TextPart = z.object({ type: z.literal('text'), text: z.string() });
const PicturePart = z.object({ type: z.literal('image_url'), image_url: z.object({ url: z.string() }) });
const UserContent = z.union([z.string(), z.array(z.discriminatedUnion('type', [TextPart, PicturePart]))]);
const AssistantContent = z.union([z.string(), z.array(TextPart)]);

const Message = z.discriminatedUnion('role', [
  z.object({ role: z.literal('user'), content: UserContent }),
  z.object({ role: z.literal('assistant'), content: AssistantContent }),
  z.object({ role: z.enum(['system', 'developer']), content: z.unknown() }),
]);

/**
 * The body of `POST /v1/chat/completions` as far as it means something here; options of sampling are taken and do nothing,
 * since answers are the likeliest words. What would change the answer and cannot is refused.
 * https://platform.openai.com/docs/api-reference/chat/create
 */
export const ChatRequestSchema = z.object({
  model: z.string(),
  messages: z.array(Message).min(1),
  stream: z.boolean().nullish(),
  stream_options: z.object({ include_usage: z.boolean().nullish() }).nullish(),
  max_tokens: z.int().min(1).nullish(),
  max_completion_tokens: z.int().min(1).nullish(),
  n: z.literal(1, 'must be 1: a question has one answer').nullish(),
  tools: z.array(z.unknown()).max(0, 'must be left out: the model calls no tools').nullish(),
  response_format: z.object({ type: z.literal('text', 'must be text') }).nullish(),
  /** Ours: how masks are written. */
  mask_format: z.enum(['rle', 'png', 'polygon']).default('rle').describe('Of the masks of a message.'),
  polygon_tolerance: z.number().nullish(),
});
export type ChatRequest = z.infer<typeof ChatRequestSchema>;
type Turn = z.infer<typeof Message>;

/** How a picture that was stored before is named in the place of an address. */
const STORED = /^segue:([0-9a-f]{64})$/;

/**
 * A conversation as a question with its history. It counts from the message with the last picture on: what was said before
 * was about another one.
 * @throws SegueError INVALID_ARGUMENT
 */
export function toAsked({ model, messages, ...request }: ChatRequest): Asked {
  if (messages.some(({ role }) => role === 'system' || role === 'developer')) {
    throw refused('"messages" must be of the roles user and assistant: the model takes no system message.');
  }
  const from = messages.findLastIndex((message) => pictureIn(message) !== undefined);
  const first = messages[from];
  const picture = first && pictureIn(first);
  if (!picture) throw refused('A message must hold the picture, as a part {"type": "image_url", ...}.');
  const turns = messages.slice(from);
  if (turns.length % 2 === 0 || turns.some(({ role }, index) => role !== (index % 2 === 0 ? 'user' : 'assistant'))) {
    throw refused('From the message with the picture on, user and assistant must take turns, and the user ask last.');
  }
  const words = turns.map(textOf);
  const history = words.flatMap((answer, index) =>
    index % 2 ? [{ instruction: words[index - 1] ?? '', answer }] : [],
  );
  const maxTokens = request.max_completion_tokens ?? request.max_tokens;
  return {
    picture,
    instruction: words.at(-1) ?? '',
    history,
    model,
    ...(typeof maxTokens === 'number' && { maxTokens }),
  };
}

function pictureIn({ role, content }: Turn): AskedPicture | undefined {
  if (role !== 'user' || typeof content === 'string') return undefined;
  const urls = content.flatMap((part) => (part.type === 'image_url' ? [part.image_url.url] : []));
  if (urls.length > 1) throw refused('A message may hold one picture.');
  const [url] = urls;
  if (url === undefined) return undefined;
  const imageId = STORED.exec(url)?.[1];
  if (imageId !== undefined) return { imageId };
  if (/^https?:/i.test(url)) throw refused('Pictures are not fetched: send "url" as a data: URL of the picture.');
  return { bytes: bytesOf(url, '"image_url.url"') };
}

function textOf({ content }: Turn): string {
  if (typeof content === 'string') return content;
  const parts = content as readonly z.infer<typeof TextPart | typeof PicturePart>[];
  return parts.flatMap((part) => (part.type === 'text' ? [part.text] : [])).join('\n');
}

function refused(sentence: string): SegueError {
  return new SegueError('INVALID_ARGUMENT', sentence);
}
