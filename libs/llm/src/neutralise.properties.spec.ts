import { array, assert, constantFrom, property, string } from 'fast-check';
import { expect, it } from 'vitest';
import { neutralise } from './neutralise.js';

const CONTROL = ['<SEG>', '<|im_end|>', '<image>', '</s>'];

it('whatever is written, no control token is in what is read', () => {
  const piece = constantFrom(
    ...CONTROL,
    ...CONTROL.flatMap((token) => [token.slice(0, 2), token.slice(2)]),
    '<',
    '>',
    ' ',
  );
  assert(
    property(array(piece), string(), (pieces, text) => {
      const read = neutralise(pieces.join('') + text + pieces.join(text.slice(0, 1)), CONTROL);
      expect(CONTROL.filter((token) => read.includes(token))).toEqual([]);
    }),
    { numRuns: 300 },
  );
});
