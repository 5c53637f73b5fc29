import { afterEach, describe, expect, it } from 'vitest';
import { SegueError } from '@segue/core';
import { EchoLanguageModel } from '@segue/testing';
import { LanguageModel, type GenerateRequest, type Generation, type LanguageModelOptions } from './language-model.js';
import type { LanguageObserver } from './observer.js';
import type { SegmentPrompt } from '@segue/stages';

const echoes: EchoLanguageModel[] = [];
afterEach(() => echoes.splice(0).forEach((echo) => echo.remove()));

interface Harness {
  readonly echo: EchoLanguageModel;
  readonly model: LanguageModel;
  /** Pictures whose visual tokens were pulled. */
  readonly pulled: number[];
  ask(instruction: string, changed?: Partial<GenerateRequest> & { picture?: number }): Promise<Generation>;
}

async function start(
  language: ConstructorParameters<typeof EchoLanguageModel>[0] = {},
  options: Partial<LanguageModelOptions> = {},
): Promise<Harness> {
  const echo = new EchoLanguageModel(language);
  echoes.push(echo);
  const model = await LanguageModel.create(echo, echo.sessions, { prefixCacheBytes: 1e6, ...options });
  const pulled: number[] = [];
  return {
    echo,
    model,
    pulled,
    ask: (instruction, { picture = 7, ...changed } = {}) =>
      model.generate({
        imageId: `picture ${picture}`,
        visualTokens: () => {
          pulled.push(picture);
          return Promise.resolve(EchoLanguageModel.visualTokens(picture));
        },
        instruction,
        history: [],
        mode: 'answer',
        maxTokens: 1000,
        signal: new AbortController().signal,
        ...changed,
      }),
  };
}

/** Holds the model before its n-th decode run until released. */
function holdDecode(echo: EchoLanguageModel, nth = 1): { reached: Promise<void>; release: () => void } {
  let release = (): void => undefined;
  const released = new Promise<void>((resolve) => (release = resolve));
  const reached = new Promise<void>((resolve) => {
    let count = 0;
    echo.gate = async ({ graph }) => {
      if (graph !== 'decode' || ++count !== nth) return;
      resolve();
      await released;
    };
  });
  return { reached, release };
}

const runsOf = ({ echo }: Harness, graph: string): number[] =>
  echo.runs.filter((run) => run.graph === graph).map((run) => run.rows);

describe('LanguageModel', () => {
  it('answers with text, segments and counts', async () => {
    const { ask } = await start();
    const heard: unknown[] = [];
    const answer = await ask('It is the cup @.', {
      onText: ({ offset, text }) => void heard.push([offset, text]),
      onSegment: ({ phrase, span, index, embedding }) =>
        void heard.push({ phrase, span, index, embedding: [...embedding] }),
    });
    expect(answer).toEqual({
      text: 'It is the cup <SEG>.',
      segments: [{ index: 0, phrase: 'the cup', span: [6, 13], logprob: -0.5 }],
      finishReason: 'stop',
      promptTokens: 8 + 28 + 2,
      tokens: 16,
      prefixCached: false,
    });
    // The state is that before <SEG>: 38 positions of prompt and 14 of the answer, picture 7, after a blank.
    const segment = { phrase: 'the cup', span: [6, 13], index: 0, embedding: [104, 14, 64, 2] };
    expect(heard).toEqual([
      ...[...'It is the cup '].map((letter, at) => [at, letter]),
      [14, '<SEG>'],
      segment,
      [19, '.'],
    ]);
  });

  it('reports a segment before the rest of the text is written', async () => {
    const harness = await start();
    const hold = holdDecode(harness.echo, 3);
    const heard: string[] = [];
    const answer = harness.ask('a @ and much more', { onSegment: ({ phrase }) => void heard.push(phrase) });
    await hold.reached;
    await new Promise(setImmediate);
    expect(heard).toEqual(['a']);
    hold.release();
    expect((await answer).text).toBe('a <SEG> and much more');
  });

  it('answers mask_only with one prefill and no decoding', async () => {
    const harness = await start();
    await harness.ask('x', { picture: 3 });
    harness.echo.runs.length = 0;
    const segments: SegmentPrompt[] = [];
    const answer = await harness.ask('the cup', {
      picture: 3,
      mode: 'mask_only',
      onSegment: (segment) => void segments.push(segment),
    });
    expect(answer).toMatchObject({ text: '<SEG>', finishReason: 'mask_only', tokens: 1, prefixCached: true });
    expect(segments).toMatchObject([{ index: 0, phrase: '', span: [0, 5], logprob: null }]);
    expect([...segments[0]!.embedding.slice(0, 2)]).toEqual([2 * answer.promptTokens, 6]);
    expect(harness.echo.runs.map(({ graph }) => graph)).toEqual(['prefill', 'segHead']);
  });

  it('answers the last question of a conversation', async () => {
    const { ask } = await start();
    const history = [{ instruction: 'One', answer: 'the cup <SEG>' }];
    expect((await ask('Two', { history })).text).toBe('Two');
  });

  it("ends at the asked number of tokens, at the bundle's, and at the most segments", async () => {
    const { ask } = await start();
    expect(await ask('abcdefgh', { maxTokens: 3 })).toMatchObject({ text: 'abc', finishReason: 'length' });
    expect(await ask('x'.repeat(80))).toMatchObject({ text: 'x'.repeat(60), tokens: 60, finishReason: 'length' });
    expect(await ask('@@@@')).toMatchObject({ text: '<SEG><SEG><SEG>', finishReason: 'length' });
  });

  it('reads the state at <SEG> where the manifest says so, also behind the last token', async () => {
    const { ask } = await start({ segState: 'at' });
    const lasts: number[] = [];
    const onSegment = ({ embedding }: SegmentPrompt): void => void lasts.push(embedding[2]! / 2);
    await ask('ab@cd', { onSegment });
    await ask('abc@', { onSegment, maxTokens: 4 });
    expect(lasts).toEqual([258, 258]);
  });
});

describe('continuous batching', () => {
  const questions = ['It is the cup @.', '@', 'Nothing of that is in this picture at all.', 'a ☂ @ and the 🌂 @'];

  it('gives each row what it gives alone', async () => {
    const alone = await start();
    const together = await start();
    const expected: Generation[] = [];
    for (const [picture, question] of questions.entries()) expected.push(await alone.ask(question, { picture }));
    const answers = await Promise.all(questions.map((question, picture) => together.ask(question, { picture })));
    expect(answers).toEqual(expected);
    expect(runsOf(together, 'prefill')).toEqual([4]);
    expect(runsOf(together, 'decode')[0]).toBe(4);
    expect(runsOf(alone, 'decode')[0]).toBe(1);
  });

  it('lets rows join and leave between steps', async () => {
    const harness = await start();
    const hold = holdDecode(harness.echo, 2);
    const long = harness.ask('a long answer with many letters in it', { picture: 1 });
    await hold.reached;
    const late = [harness.ask('short', { picture: 2 }), harness.ask('tiny', { picture: 3 })];
    await new Promise(setImmediate);
    hold.release();
    expect((await Promise.all([long, ...late])).map(({ text }) => text)).toEqual([
      'a long answer with many letters in it',
      'short',
      'tiny',
    ]);
    // 'tiny' and its end are written with its prefill and four steps, 'short' takes one more.
    expect(runsOf(harness, 'decode').slice(0, 8)).toEqual([1, 1, 3, 3, 3, 3, 2, 1]);
  });

  it('never runs more rows than allowed, and serves them in their order', async () => {
    const harness = await start({}, { maxBatch: 2 });
    const order: number[] = [];
    await Promise.all(
      Array.from({ length: 6 }, (_, index) =>
        harness.ask(`answer ${index}`, { picture: index }).then(() => order.push(index)),
      ),
    );
    expect(Math.max(...harness.echo.runs.map(({ rows }) => rows))).toBe(2);
    expect(order).toEqual([0, 1, 2, 3, 4, 5]);
  });

  it('takes a cancelled row out and leaves the others alone', async () => {
    const harness = await start();
    const hold = holdDecode(harness.echo, 2);
    const abort = new AbortController();
    const reason = new SegueError('DEADLINE_EXCEEDED', 'The deadline has passed.');
    const cancelled = expect(harness.ask('a long answer that nobody needs', { signal: abort.signal })).rejects.toBe(
      reason,
    );
    const other = harness.ask('another long answer to somebody', { picture: 2 });
    await hold.reached;
    abort.abort(reason);
    hold.release();
    await cancelled;
    expect((await other).text).toBe('another long answer to somebody');
    expect(runsOf(harness, 'decode').slice(0, 3)).toEqual([2, 2, 1]);
  });

  it('does not begin what is cancelled while it waits', async () => {
    const harness = await start({}, { maxBatch: 1 });
    const hold = holdDecode(harness.echo);
    const running = harness.ask('first');
    await hold.reached;
    const abort = new AbortController();
    const waiting = expect(harness.ask('second', { signal: abort.signal })).rejects.toMatchObject({
      code: 'CANCELLED',
    });
    await new Promise(setImmediate);
    abort.abort();
    hold.release();
    await waiting;
    await running;
    expect(runsOf(harness, 'prefill')).toEqual([1]);
    await expect(harness.ask('third', { signal: abort.signal, picture: 9 })).rejects.toMatchObject({
      code: 'CANCELLED',
    });
    expect(harness.pulled).not.toContain(9);
  });

  it('fails a row alone whose callback throws', async () => {
    const harness = await start();
    const heard: string[] = [];
    const error = new Error('the log is gone');
    const failing = expect(
      harness.ask('a text that goes on and on', {
        onText: ({ text }) => {
          heard.push(text);
          throw error;
        },
      }),
    ).rejects.toBe(error);
    const other = harness.ask('another text that goes on and on');
    await failing;
    expect((await other).text).toBe('another text that goes on and on');
    expect(heard).toEqual(['a']);
  });

  it('fails a row whose last callback throws', async () => {
    const { ask } = await start();
    const onText = (): Promise<void> => Promise.reject(new Error('the log is gone'));
    await expect(ask('', { mode: 'mask_only', onText })).rejects.toThrow('the log is gone');
  });

  it('keeps callbacks in order and waits for them', async () => {
    const { ask } = await start();
    let text = '';
    const answer = await ask('one and two and three', {
      onText: async (piece) => {
        await new Promise((resolve) => setTimeout(resolve, piece.offset === 0 ? 20 : 1));
        text += piece.text;
      },
    });
    expect(text).toBe(answer.text);
  });

  it('fails a row alone whose probabilities or embeddings are not numbers', async () => {
    const harness = await start();
    const broken = ['so ~ what', 'so ^@ what'].map((question) =>
      expect(harness.ask(question)).rejects.toMatchObject({ code: 'INTERNAL' }),
    );
    expect((await harness.ask('another @ text')).text).toBe('another <SEG> text');
    await Promise.all(broken);
  });

  it.each(['prefill', 'decode', 'segHead'] as const)('fails the rows of a failing %s and goes on', async (graph) => {
    const harness = await start();
    const error = new SegueError('INTERNAL', 'broken');
    harness.echo.failures.set(graph, error);
    const failing = [harness.ask('the one @', { picture: 1 }), harness.ask('the other @', { picture: 2 })];
    for (const result of await Promise.allSettled(failing))
      expect(result).toEqual({ status: 'rejected', reason: error });
    expect((await harness.ask('the next @')).text).toBe('the next <SEG>');
  });

  it('hands running and waiting rows back when it closes', async () => {
    const harness = await start({}, { maxBatch: 1 });
    const hold = holdDecode(harness.echo);
    const both = [harness.ask('running and running'), harness.ask('waiting')].map((answer) =>
      expect(answer).rejects.toMatchObject({ code: 'UNAVAILABLE' }),
    );
    await hold.reached;
    const closed = harness.model.close();
    hold.release();
    await Promise.all([closed, ...both]);
    await expect(harness.ask('late')).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    expect(runsOf(harness, 'decode')).toEqual([1]);
  });
});

describe('drafts', () => {
  const usualAnswers = ['It is the cup <SEG>.', 'It is the cat <SEG>.'];

  it('change nothing in an answer, and save steps', async () => {
    const [plain, quick] = [await start(), await start({ usualAnswers })];
    for (const question of ['It is the cup @.', 'It is not there.', 'the', 'It is the cup @ and @.', '@']) {
      const heard: { text: string; embeddings: number[][] }[] = [];
      for (const { ask } of [plain, quick]) {
        const said = { text: '', embeddings: [] as number[][] };
        const answer = await ask(question, {
          onText: ({ text }) => void (said.text += text),
          onSegment: ({ embedding }) => void said.embeddings.push([...embedding]),
        });
        expect(said.text).toBe(answer.text);
        heard.push({ ...answer, ...said });
      }
      expect(heard[1]).toEqual(heard[0]);
    }
    const steps = [plain, quick].map((harness) => runsOf(harness, 'decode').length);
    expect(steps[1]).toBeLessThan(steps[0]! / 2);
  });

  it('are not fed beyond the tokens that were asked for', async () => {
    const harness = await start({ usualAnswers });
    expect(await harness.ask('It is the cup @.', { maxTokens: 3 })).toMatchObject({ text: 'It ', tokens: 3 });
    expect(harness.echo.runs.map(({ graph }) => graph)).toEqual(['prefill']);
  });

  it('of different lengths go together', async () => {
    const harness = await start({ usualAnswers });
    const questions = ['It is the cup @.', 'Nobody says this.', 'It is the cat @.', 'It is'];
    const answers = await Promise.all(questions.map((question, picture) => harness.ask(question, { picture })));
    expect(answers.map(({ text }) => text)).toEqual(questions.map((question) => question.replace('@', '<SEG>')));
  });

  it('are told to the observer', async () => {
    const told: { drafted: number; accepted: number }[] = [];
    const observer: LanguageObserver = {
      onDecode: ({ drafted, accepted }) => void told.push({ drafted, accepted }),
    };
    const { ask } = await start({ usualAnswers }, { observer, draftTokens: 2 });
    await ask('It is a');
    expect(told).toEqual([
      { drafted: 2, accepted: 2 },
      { drafted: 2, accepted: 0 },
      { drafted: 2, accepted: 0 },
    ]);
  });
});

describe('prefix cache', () => {
  it('computes the prefix of a picture once, with the same answer', async () => {
    const harness = await start();
    const first = await harness.ask('the cup @');
    const second = await harness.ask('the cup @');
    expect(second).toEqual({ ...first, prefixCached: true });
    expect(harness.pulled).toEqual([7]);
    expect(runsOf(harness, 'prefill')).toEqual([1, 1]);
  });

  it('computes it once for questions that arrive together', async () => {
    const harness = await start();
    const answers = await Promise.all([harness.ask('one'), harness.ask('two'), harness.ask('three', { picture: 8 })]);
    expect(answers.map(({ prefixCached }) => prefixCached)).toEqual([false, true, false]);
    expect(runsOf(harness, 'prefill')).toEqual([2, 1]);
  });

  it('computes it for the next one when the first who asked has failed', async () => {
    const harness = await start();
    harness.echo.failures.set('prefill', new Error('broken'));
    const [first, second, third] = [harness.ask('one'), harness.ask('two'), harness.ask('three')];
    await expect(first).rejects.toThrow('broken');
    expect((await Promise.all([second, third])).map(({ text, prefixCached }) => [text, prefixCached])).toEqual([
      ['two', false],
      ['three', true],
    ]);
  });

  it('forgets the picture that was asked about longest ago', async () => {
    const prefixBytes = 4 * 2 * 3 * 8 * 4;
    const harness = await start({}, { prefixCacheBytes: 2 * prefixBytes });
    for (const picture of [1, 2, 1, 3, 1, 2]) await harness.ask('x', { picture });
    expect(harness.pulled).toEqual([1, 2, 3, 2]);
  });

  it('may be switched off', async () => {
    const harness = await start({}, { prefixCacheBytes: 0 });
    await harness.ask('x');
    expect((await harness.ask('x')).prefixCached).toBe(false);
  });

  it('does not keep a picture that could not be computed', async () => {
    const harness = await start();
    harness.echo.failures.set('prefill', new Error('broken'));
    await expect(harness.ask('x')).rejects.toThrow('broken');
    expect((await harness.ask('x')).prefixCached).toBe(false);
  });

  it('refuses visual tokens of another model', async () => {
    const { ask } = await start();
    const visualTokens = { dtype: 'float32' as const, shape: [1, 2, 3], data: new Float32Array(6) };
    await expect(ask('x', { visualTokens: () => Promise.resolve(visualTokens) })).rejects.toMatchObject({
      code: 'INTERNAL',
      cause: { message: 'visual tokens are float32[1, 2, 3]' },
    });
  });
});

it('tells its observer what it does', async () => {
  const events: unknown[] = [];
  const observer: LanguageObserver = {
    onPrefix: (event) => void events.push(event),
    onPrefill: ({ seconds, ...event }) => void events.push({ ...event, timed: seconds >= 0 }),
    onDecode: ({ seconds, ...event }) => void events.push({ ...event, timed: seconds >= 0 }),
    onAnswer: (event) => void events.push(event),
  };
  const { ask } = await start({}, { observer });
  await ask('ab@', { maxTokens: 5 });
  expect(events).toEqual([
    { hit: false },
    { prefix: true, rows: 1, tokens: 25, timed: true },
    ...Array.from({ length: 3 }, () => ({ rows: 1, drafted: 0, accepted: 0, timed: true })),
    { tokens: 3, segments: 1 },
  ]);
});
