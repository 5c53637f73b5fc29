import { SegueError, type JobEvent } from '@segue/core';
import OpenAI from 'openai';
import { beforeEach, expect, it } from 'vitest';
import { collect, photo, useGateway } from '../gateway.fixture.js';

const fixture = useGateway();
const [FIRST, SECOND] = ['The cup <SEG> and a spoon', 'Nothing.'];
const INSTRUCTION = 'Where is the cup?';

/** A worker that is lost after words and a mask; the next one says less, and has no mask. */
beforeEach(() => {
  let runs = 0;
  const { decode } = fixture.stages;
  let masked: () => void;
  const mask = new Promise<void>((resolve) => (masked = resolve));
  fixture.stages.decode = async (context) => {
    const segment = await decode(context);
    setTimeout(masked, 200); // it is written when it has been returned
    return segment;
  };
  fixture.stages.generate = async ({ writeText, addDecode }) => {
    const rest = { finishReason: 'stop', model: 'tiny-random@0.1.0', promptTokens: 9, tokens: 2 } as const;
    if (runs++ > 0) {
      await writeText({ offset: 0, text: SECOND });
      return { ...rest, text: SECOND, segments: 0, prefixCached: false };
    }
    await writeText({ offset: 0, text: FIRST });
    await addDecode({ index: 0, phrase: 'The cup', span: [0, 7], embedding: new Float32Array(8) });
    await mask;
    throw new SegueError('UNAVAILABLE', 'The worker is going.');
  };
});

/** What a reader has who drops what came before an answer began anew. */
function read(events: readonly JobEvent[]) {
  let [text, masks] = ['', 0];
  for (const event of events) {
    if (event.type === 'restarted') [text, masks] = ['', 0];
    if (event.type === 'text') text += event.text;
    if (event.type === 'segment') masks++;
  }
  return { text, masks };
}

it('watchers hear that an answer begins anew, over HTTP', async () => {
  const events = await collect(fixture.gateway.client.stream({ image: await photo(), instruction: INSTRUCTION }));
  const kinds = events.map(({ type }) => type).filter((type) => type !== 'stage');
  expect(kinds).toEqual(['accepted', 'text', 'segment', 'restarted', 'text', 'completed']);
  expect(read(events)).toEqual({ text: SECOND, masks: 0 });
  expect(events.at(-1)).toMatchObject({ answer: { text: SECOND, segments: [] } });
});

it('and over gRPC', async () => {
  const picture = { case: 'image' as const, value: await photo() };
  const events = await collect(fixture.gateway.grpc.streamSegment({ picture, instruction: INSTRUCTION }));
  const kinds = events.map(({ event }) => event.case).filter((kind) => kind !== 'stage');
  expect(kinds).toEqual(['accepted', 'text', 'segment', 'restarted', 'text', 'completed']);
  expect(events.at(-1)?.event.value).toMatchObject({ text: SECOND, segments: [] });
});

it('who waits for the answer gets the second one alone', async () => {
  const answer = await fixture.gateway.client.segment({ image: await photo(), instruction: INSTRUCTION });
  expect(answer).toMatchObject({ text: SECOND, segments: [] });
  expect(await fixture.gateway.client.jobs.get(answer.jobId)).toMatchObject({
    state: 'completed',
    answer: { text: SECOND, segments: [] },
  });
});

it("a stream of OpenAI's protocol ends with an error, since it cannot take words back", async () => {
  const openai = new OpenAI({ baseURL: `${fixture.gateway.url}/v1`, apiKey: 'none', maxRetries: 0 });
  const image = `data:image/png;base64,${(await photo()).toString('base64')}`;
  const stream = await openai.chat.completions.create({
    model: 'tiny-random',
    stream: true,
    messages: [
      {
        role: 'user',
        content: [
          { type: 'text', text: INSTRUCTION },
          { type: 'image_url', image_url: { url: image } },
        ],
      },
    ],
  });
  let text = '';
  const reading = (async () => {
    for await (const { choices } of stream) text += choices[0]?.delta.content ?? '';
  })();
  await expect(reading).rejects.toThrow(/Ask again/);
  await expect(reading).rejects.toBeInstanceOf(OpenAI.APIError);
  expect(text).toBe(FIRST);
});
