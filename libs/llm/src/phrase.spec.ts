import { describe, expect, it } from 'vitest';
import { codePoints, lastPhrase, spanOf } from './phrase.js';

const ARTICLE = /(?:the|a|an) [^,.;:<>]*?$/gu;

describe('lastPhrase', () => {
  it.each([
    ['It is the cup ', 'the cup'],
    ['You could use an umbrella\n', 'an umbrella'],
    ['. Then the red ball on the table ', 'the red ball on the table'],
    ['The cup, and ', undefined],
    ['', undefined],
  ])('of %j', (text, phrase) => {
    expect(lastPhrase(ARTICLE, text)?.text).toBe(phrase);
  });

  it('takes the last match and says where it is', () => {
    expect(lastPhrase(/ \w+ /gu, 'see one, two , three ! ')).toEqual({ text: 'three', start: 15, end: 20 });
  });

  it('finds nothing in a match of blanks', () => {
    expect(lastPhrase(/\s*$/gu, 'word  ')).toBeUndefined();
  });
});

it('counts code points', () => {
  expect(codePoints('a☂🌂')).toBe(3);
  expect(spanOf('🌂 is the ☂ 🌂', 6, 11)).toEqual([5, 10]);
});
