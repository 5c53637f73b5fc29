import { describe, expect, it } from 'vitest';
import { BYTE_TOKENS, EchoLanguageModel, byteTokenizer } from '@segue/testing';
import { AnswerWriter, type AnswerRules, type Produced, type Step } from './answer.js';
import { Tokenizer } from './tokenizer.js';

const echo = new EchoLanguageModel();
const { language } = echo;
echo.remove();
const tokenizer = new Tokenizer(byteTokenizer(), language);
const { end, seg } = BYTE_TOKENS;

function writer(changed: Partial<AnswerRules> = {}): AnswerWriter {
  return new AnswerWriter({ ...language, mode: 'answer', maxTokens: 100, maxSegments: 3, ...changed }, tokenizer);
}

/** Steps whose state is their place. */
function steps(tokens: readonly number[], from = 0): Step[] {
  return tokens.map((token, index) => ({ token, logprob: -1, state: Float32Array.of(from + index) }));
}

function shown(produced: readonly Produced[]): unknown[] {
  return produced.map((item) =>
    item.type === 'text' ? item.piece : { ...item.segment, at: item.state[0], logprob: undefined },
  );
}

describe('AnswerWriter', () => {
  it('gives text and segments in the order of the text', () => {
    const answer = writer();
    const tokens = tokenizer.encode('It is the ☂ <SEG> in a 🌂 <SEG>.<|im_end|>garbage');
    expect(shown(answer.accept(steps(tokens)))).toEqual([
      { offset: 0, text: 'It is the ☂ <SEG>' },
      { index: 0, phrase: 'the ☂', span: [6, 11], at: 14 },
      { offset: 17, text: ' in a 🌂 <SEG>' },
      { index: 1, phrase: 'a 🌂', span: [21, 24], at: 26 },
      { offset: 30, text: '.' },
    ]);
    expect([answer.text, answer.finishReason, answer.wanted]).toEqual(['It is the ☂ <SEG> in a 🌂 <SEG>.', 'stop', 0]);
    expect(answer.tokens).toBe(tokens.indexOf(end));
  });

  it('holds back a cut character and nothing else', () => {
    const answer = writer();
    const tokens = tokenizer.encode('a🌂b');
    const pieces = tokens.map((token) => shown(answer.accept(steps([token]))));
    const whole = { offset: 1, text: '🌂' };
    expect(pieces).toEqual([[{ offset: 0, text: 'a' }], [], [], [], [whole], [{ offset: 2, text: 'b' }]]);
  });

  it('writes a character that stays cut when the answer ends', () => {
    const answer = writer();
    expect(shown(answer.accept(steps([97, 0xf0, 0x9f])))).toEqual([{ offset: 0, text: 'a' }]);
    expect(shown(answer.accept(steps([end])))).toEqual([{ offset: 1, text: '\uFFFD' }]);
  });

  it('marks the <SEG> itself when there is no phrase', () => {
    expect(shown(writer().accept(steps([33, seg])))).toEqual([
      { offset: 0, text: '!<SEG>' },
      { index: 0, phrase: '', span: [1, 6], at: 1 },
    ]);
  });

  it('does not look for a phrase before the previous <SEG>', () => {
    const [, , , second] = shown(writer().accept(steps(tokenizer.encode('the cup <SEG> and <SEG>'))));
    expect(second).toMatchObject({ index: 1, phrase: '', span: [18, 23] });
  });

  it('takes the state after <SEG> where the manifest says so', () => {
    const answer = writer({ segState: 'at' });
    const tokens = tokenizer.encode('! <SEG>');
    expect(shown(answer.accept(steps(tokens)))).toEqual([{ offset: 0, text: '! <SEG>' }]);
    expect(answer.finishReason).toBeUndefined();
    expect(shown(answer.accept(steps([end], 3)))).toEqual([{ index: 0, phrase: '', span: [2, 7], at: 3 }]);
    expect(answer.finishReason).toBe('stop');
  });

  it('waits for that state after the last token too', () => {
    const answer = writer({ segState: 'at', maxTokens: 2 });
    answer.accept(steps([97, seg]));
    expect([answer.wanted, answer.finishReason]).toEqual([1, undefined]);
    expect(shown(answer.accept(steps([98], 2)))).toMatchObject([{ index: 0, at: 2 }]);
    expect([answer.wanted, answer.finishReason, answer.text]).toEqual([0, 'length', 'a<SEG>']);
  });

  it('ends at the most tokens and at the most segments', () => {
    const long = writer({ maxTokens: 3 });
    long.accept(steps([97, 98, 99, 100]));
    expect([long.text, long.finishReason, long.tokens]).toEqual(['abc', 'length', 3]);
    const many = writer({ maxSegments: 2 });
    many.accept(steps([seg, seg, 97, seg, 98]));
    expect([many.text, many.finishReason]).toEqual(['<SEG><SEG>a', 'length']);
  });

  it('answers mask_only with one <SEG> from the first state', () => {
    const answer = writer({ mode: 'mask_only', segState: 'at' });
    const [text, segment] = answer.accept(steps([97]));
    expect(text).toEqual({ type: 'text', piece: { offset: 0, text: '<SEG>' } });
    expect(segment).toMatchObject({ segment: { index: 0, phrase: '', span: [0, 5], logprob: null } });
    expect(answer.finishReason).toBe('mask_only');
  });

  it('refuses a probability that is not a number', () => {
    expect(() => writer().accept([{ token: 97, logprob: NaN, state: Float32Array.of(0) }])).toThrow(/not a number/);
  });
});
