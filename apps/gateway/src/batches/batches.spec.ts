import OpenAI, { toFile } from 'openai';
import { expect, it, vi } from 'vitest';
import { fillMemory, MASK, photo, signal, TEXT, until, useGateway } from '../gateway.fixture.js';

const fixture = useGateway();
const openai = (url = fixture.gateway.url) => new OpenAI({ baseURL: `${url}/v1`, apiKey: 'none', maxRetries: 0 });
const CHAT = '/v1/chat/completions' as const;

async function chatLine(id: string, text = 'Where is the cup?') {
  const { imageId } = await fixture.gateway.client.images.upload(await photo());
  const content = [
    { type: 'text', text },
    { type: 'image_url', image_url: { url: `segue:${imageId}` } },
  ];
  const body = { model: 'tiny-random', messages: [{ role: 'user', content }] };
  return { custom_id: id, method: 'POST', url: CHAT, body };
}

async function create(lines: readonly unknown[], url?: string) {
  const text = lines.map((line) => JSON.stringify(line)).join('\n');
  const file = await openai(url).files.create({ file: await toFile(Buffer.from(text), 'q.jsonl'), purpose: 'batch' });
  return openai(url).batches.create({ input_file_id: file.id, endpoint: CHAT, completion_window: '24h' });
}

const ended = async (id: string) => {
  await expect.poll(async () => (await openai().batches.retrieve(id)).status, { timeout: 15_000 }).toBe('completed');
  return openai().batches.retrieve(id);
};
const linesOf = async (fileId: string) =>
  (await (await openai().files.content(fileId)).text())
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as { custom_id: string; response: { status_code: number; body: unknown } });

it("is created, followed and read with OpenAI's client, at low priority", async () => {
  const wrong = { ...(await chatLine('wrong')), body: { model: 'gpt-5', messages: [] } };
  const { id } = await create([await chatLine('a'), wrong, await chatLine('b')]);
  const batch = await ended(id);
  expect(batch.request_counts).toEqual({ total: 3, completed: 2, failed: 1 });
  const answers = await linesOf(batch.output_file_id!);
  expect(answers.map(({ custom_id }) => custom_id).sort()).toEqual(['a', 'b']);
  const message = { content: TEXT, segments: [{ mask: MASK }] };
  expect(answers[0]!.response).toMatchObject({ status_code: 200, body: { choices: [{ message }] } });
  expect(await linesOf(batch.error_file_id!)).toMatchObject([
    { custom_id: 'wrong', response: { status_code: 400, body: { error: { type: 'invalid_request_error' } } } },
  ]);
  for (const key of await fixture.store.keys('{segue}:job:????????????????????????????????')) {
    expect(await fixture.store.hget(key, 'request')).toContain('"priority":"low"');
  }
  const listed: string[] = [];
  for await (const each of openai().batches.list()) listed.push(each.id);
  expect(listed).toContain(id);
});

it('goes on at another gateway, and asks nothing twice', async () => {
  const [asked, begun, goOn] = [[] as string[], signal(), signal()];
  const { generate } = fixture.stages;
  let hold = true;
  fixture.stages.generate = async (context) => {
    if (context.request.instruction === 'second' && hold) {
      begun.give();
      await goOn.given;
    }
    asked.push(context.request.instruction);
    return generate(context);
  };
  const first = await fixture.startAnother({ SEGUE_BATCH_CONCURRENCY: '1' });
  const { id } = await create([await chatLine('1', 'first'), await chatLine('2', 'second')], first.url);
  await begun.given;
  hold = false;
  await first.close();
  goOn.give();
  expect((await ended(id)).request_counts).toMatchObject({ completed: 2, failed: 0 });
  expect(asked.filter((instruction) => instruction === 'first')).toHaveLength(1);
});

it("goes by Redis' clock, however wrong the gateway's is", async () => {
  const startedAt = Math.floor(Date.now() / 1000);
  vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 300_000 });
  try {
    const { id, input_file_id } = await create([await chatLine('a')]);
    const { created_at, completed_at, expires_at } = await ended(id);
    const times = [(await openai().files.retrieve(input_file_id)).created_at, created_at, completed_at!];
    for (const time of times) expect(Math.abs(time - startedAt)).toBeLessThan(60);
    expect(times).toEqual(times.toSorted());
    expect(expires_at).toBeGreaterThan(created_at);
  } finally {
    vi.useRealTimers();
  }
});

it('can be cancelled', async () => {
  fixture.stages.generate = ({ signal: ends }) => until(ends);
  const { id } = await create(await Promise.all(Array.from({ length: 6 }, (_, i) => chatLine(String(i)))));
  expect((await openai().batches.cancel(id)).status).toBe('cancelling');
});

it.each([
  ['no line', [], /no line/],
  ['a line of another shape', [{ custom_id: 'a' }], /Line 1/],
  ['another address', [{ custom_id: 'a', method: 'POST', url: '/v1/embeddings', body: {} }], /another "url"/],
])('is refused with %s', async (_what, lines, message) => {
  await expect(create(lines)).rejects.toMatchObject({ status: 400, message: expect.stringMatching(message) });
});

it('takes no file for which Redis has no room beside the jobs', async () => {
  const line = await chatLine('a');
  const makeRoom = await fillMemory(fixture.store, 0.72);
  try {
    const refused = await create([line]).catch((error: unknown) => error);
    expect(refused).toMatchObject({ status: 429, message: expect.stringMatching(/files are kept/) });
  } finally {
    await makeRoom();
  }
});

it('is not there for who does not know it', async () => {
  await expect(openai().batches.retrieve('batch_x')).rejects.toMatchObject({ status: 404 });
  await expect(openai().files.content('file-x')).rejects.toMatchObject({ status: 404 });
});
