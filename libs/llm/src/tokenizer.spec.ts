import { describe, expect, it } from 'vitest';
import { BYTE_TOKENS, byteTokenizer } from '@segue/testing';
import { Tokenizer } from './tokenizer.js';

const { seg, image, end, start } = BYTE_TOKENS;
const language = { ids: { seg, image, end: [end], bos: null, pad: end }, segToken: '<SEG>' };
const tokenizer = new Tokenizer(byteTokenizer(), language);

describe('Tokenizer', () => {
  it('reads control tokens and bytes', () => {
    expect(tokenizer.encode('<|im_start|>é<SEG>')).toEqual([start, 0xc3, 0xa9, seg]);
    expect(tokenizer.countControls(tokenizer.encode('<image>x<SEG>'))).toBe(2);
    expect(tokenizer.controlTokens).toContain('<|im_end|>');
  });

  it('writes text with <SEG> and without other special tokens', () => {
    expect(tokenizer.decode([0xe2, image, 0x98, 0x82, 32, seg, 46, end])).toBe('☂ <SEG>.');
    expect(tokenizer.decode([])).toBe('');
    expect(tokenizer.decode([end])).toBe('');
  });

  it('keeps blanks before punctuation', () => {
    expect(tokenizer.decode(tokenizer.encode("so , it is n't ."))).toBe("so , it is n't .");
  });

  it.each([
    [
      'another <SEG>',
      { ids: { ...language.ids, seg: start } },
      /reads <SEG> as \[258\] instead of the added token 256/,
    ],
    ['a <SEG> of several tokens', { segToken: '[SEG]' }, /reads \[SEG\] as/],
    ['no picture token', { ids: { ...language.ids, image: 65 } }, /no added token 65/],
  ])('refuses %s', (_, change, message) => {
    expect(() => new Tokenizer(byteTokenizer(), { ...language, ...change })).toThrow(message);
  });

  it('refuses added tokens that text cannot be kept free of', () => {
    const json = byteTokenizer() as { added_tokens: { content: string }[] };
    json.added_tokens[0]!.content = '  ';
    expect(() => new Tokenizer(json, language)).toThrow(/which a space does not break/);
  });
});
