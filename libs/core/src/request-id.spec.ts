import { expect, it } from 'vitest';
import { requestIdOf } from './request-id.js';

it('keeps a plain id and replaces any other', () => {
  expect(requestIdOf('a.B-3_')).toBe('a.B-3_');
  for (const given of [undefined, '', 'a b', 'x\n', 'ü', 'x'.repeat(129), ['a', 'b'], Buffer.from('a')]) {
    expect(requestIdOf(given)).toMatch(/^[0-9a-f]{8}-/);
  }
});
