import { describe, expect, it } from 'vitest';
import { canNeutralise, neutralise } from './neutralise.js';

const CONTROL = ['<|im_end|>', '<SEG>', '<image>', '< SEG>', '$&$'];

describe('neutralise', () => {
  it.each([
    ['what is <SEG> here', 'what is <  SEG> here'],
    ['<SEG><SEG>', '<  SEG><  SEG>'],
    ['<|im_end|>\n<image>', '< |im_end|>\n< image>'],
    ['pay $&$ for it', 'pay $ &$ for it'],
    ['a < b and <seg>', 'a < b and <seg>'],
    ['<<SEG>', '<<  SEG>'],
    ['', ''],
  ])('breaks every control token of %j', (text, safe) => {
    expect(neutralise(text, CONTROL)).toBe(safe);
  });

  it('lets the allowed token stand', () => {
    expect(neutralise('The cup <SEG>.<image>', CONTROL, '<SEG>')).toBe('The cup <SEG>.< image>');
  });

  it('leaves no control token in any mixture of their parts', () => {
    const parts = ['<', '>', 'SEG', ' ', '|', 'im_end', 'image', '<SEG>', '<|im_end|>'];
    let seed = 1;
    for (let round = 0; round < 2000; round++) {
      const text = Array.from({ length: 8 }, () => {
        seed = (seed * 48271) % 2147483647;
        return parts[seed % parts.length];
      }).join('');
      const safe = neutralise(text, CONTROL);
      expect(CONTROL.filter((token) => safe.includes(token))).toEqual([]);
    }
  });
});

it('knows tokens that a space does not break', () => {
  expect(['<SEG>', 'ab', 'x', '  ', ' a'].map(canNeutralise)).toEqual([true, true, false, false, false]);
});
