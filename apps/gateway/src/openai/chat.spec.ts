import OpenAI from 'openai';
import { describe, expect, it } from 'vitest';
import { MASK, photo, TEXT, useGateway } from '../gateway.fixture.js';

const fixture = useGateway();
const openai = () => new OpenAI({ baseURL: `${fixture.gateway.url}/v1`, apiKey: 'none', maxRetries: 0 });

async function messages(url?: string): Promise<OpenAI.ChatCompletionMessageParam[]> {
  const picture = url ?? `data:image/png;base64,${(await photo()).toString('base64')}`;
  return [
    {
      role: 'user',
      content: [
        { type: 'text', text: 'Where is the cup?' },
        { type: 'image_url', image_url: { url: picture } },
      ],
    },
  ];
}

/** What the workers of the fixture say. */
const USAGE = { prompt_tokens: 9, completion_tokens: 7, total_tokens: 16 };

interface WithSegments {
  readonly segments?: readonly { readonly phrase: string; readonly mask: unknown }[];
}

describe("OpenAI's client", () => {
  it('asks and gets words and masks', async () => {
    const completion = await openai().chat.completions.create({ model: 'tiny-random', messages: await messages() });
    expect(completion.choices[0]).toMatchObject({
      message: { role: 'assistant', content: TEXT, segments: [{ phrase: 'the cup', mask: MASK }] },
      finish_reason: 'stop',
    });
    expect(completion.id).toMatch(/^chatcmpl-[0-9a-f]{32}$/);
    expect(completion.usage).toEqual(USAGE);
  });

  it('gets words and masks as they come', async () => {
    const stream = await openai().chat.completions.create({
      model: 'tiny-random',
      messages: await messages(),
      stream: true,
    });
    let [content, finish] = ['', ''];
    const masks: unknown[] = [];
    for await (const { choices } of stream) {
      const [choice] = choices;
      content += choice?.delta.content ?? '';
      finish += choice?.finish_reason ?? '';
      for (const { mask } of (choice?.delta as WithSegments).segments ?? []) masks.push(mask);
    }
    expect([content, finish, masks]).toEqual([TEXT, 'stop', [MASK]]);
  });

  it.each([true, false])('hears in the last chunk how many tokens it took, where it asks: %s', async (asks) => {
    const stream = await openai().chat.completions.create({
      model: 'tiny-random',
      messages: await messages(),
      stream: true,
      ...(asks && { stream_options: { include_usage: true } }),
    });
    const chunks: OpenAI.ChatCompletionChunk[] = [];
    for await (const chunk of stream) chunks.push(chunk);
    expect(chunks.map(({ choices }) => choices.length)).toEqual(
      chunks.map((_, at) => (asks && at === chunks.length - 1 ? 0 : 1)),
    );
    expect(chunks.at(-1)?.usage).toEqual(asks ? USAGE : undefined);
    expect(new Set(chunks.slice(0, -1).map(({ usage }) => usage))).toEqual(new Set([asks ? null : undefined]));
  });

  it('goes on with a conversation, about a picture that is stored', async () => {
    const { imageId } = await fixture.gateway.client.images.upload(await photo());
    let seen: unknown;
    const { generate } = fixture.stages;
    fixture.stages.generate = (context) => {
      seen = context.request;
      return generate(context);
    };
    await openai().chat.completions.create({
      model: 'tiny-random',
      max_completion_tokens: 5,
      messages: [
        ...(await messages(`segue:${imageId}`)),
        { role: 'assistant', content: TEXT },
        { role: 'user', content: 'And the spoon?' },
      ],
    });
    expect(seen).toMatchObject({
      imageId,
      instruction: 'And the spoon?',
      history: [{ instruction: 'Where is the cup?', answer: TEXT }],
      maxTokens: 5,
    });
  });

  it('lists models', async () => {
    const names: string[] = [];
    for await (const { id } of openai().models.list()) names.push(id);
    expect(names).toEqual(['tiny-random']);
    expect((await openai().models.retrieve('tiny-random')).id).toBe('tiny-random');
  });

  const system = { role: 'system' as const, content: 'Be kind.' };
  const pictureless = { role: 'user' as const, content: 'Where is the cup?' };
  const said = { role: 'assistant' as const, content: TEXT };
  const ADDRESS = 'https://example.org/cat.jpg';
  type Change = Partial<OpenAI.ChatCompletionCreateParamsNonStreaming>;
  it.each<[string, () => Promise<Change>, number, RegExp]>([
    ['a model that is not there', async () => ({ model: 'gpt-5' }), 404, /no model with this name/],
    ['a system message', async () => ({ messages: [system, ...(await messages())] }), 400, /no system message/],
    ['no picture', async () => ({ messages: [pictureless] }), 400, /must hold the picture/],
    ['two answers', async () => ({ n: 2 }), 400, /one answer/],
    ['an answer last', async () => ({ messages: [...(await messages()), said] }), 400, /take turns/],
    ['an address', async () => ({ messages: await messages(ADDRESS) }), 400, /not fetched/],
  ])('is refused %s', async (_what, change, status, message) => {
    const request = { model: 'tiny-random', messages: await messages(), ...(await change()) };
    const refused = openai().chat.completions.create(request);
    await expect(refused).rejects.toMatchObject({ status, message: expect.stringMatching(message) });
    await expect(refused).rejects.toBeInstanceOf(OpenAI.APIError);
  });

  it('hears of a failure in the middle of a stream', async () => {
    fixture.stages.decode = () => Promise.reject(new Error('the graph is broken'));
    const stream = await openai().chat.completions.create({
      model: 'tiny-random',
      messages: await messages(),
      stream: true,
    });
    const read = async () => {
      for await (const chunk of stream) expect(chunk.object).toBe('chat.completion.chunk');
    };
    await expect(read()).rejects.toThrow(OpenAI.APIError);
  });
});
