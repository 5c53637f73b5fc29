import { describe, expect, it } from 'vitest';
import { fateOf, type Fate, type Live } from './placement.js';

/** Workers by the first letter of their digest, e.g. `on` for one with the old bundle and one with the new; `?` does not tell. */
function live(encode: string, generate: string, decode: string): Live {
  const of = (letters: string) =>
    Array.from(letters, (digest) => ({ model: `smol@${digest}`, ...(digest !== '?' && { digest }) }));
  return { encode: of(encode), generate: of(generate), decode: of(decode) };
}

const NEW = { id: 'smol@n', digest: 'n' };

describe('a task that a worker with the new bundle has taken', () => {
  it.each<[workers: [string, string, string], Fate]>([
    [['n', 'n', 'n'], 'done here'],
    [['on', 'on', 'on'], 'done here'],
    [['on', 'o', 'o'], 'put back'], // the old encoder's work can be gone on with
    [['on', 'on', 'o'], 'put back'],
    [['on', 'n', 'o'], 'done here'], // nobody's can yet
    [['n', 'o', 'o'], 'done here'], // the others will come
    [['on', '', ''], 'done here'],
    [['?n', '?', '?'], 'done here'],
  ])('of the encoder, among %j: %s', (workers, fate) => {
    expect(fateOf('encode', NEW, { model: 'smol' }, live(...workers))).toBe(fate);
  });

  it.each<[digest: string, workers: [string, string, string], Fate]>([
    ['n', ['o', 'on', 'on'], 'done here'],
    ['n', ['n', 'n', ''], 'done here'],
    ['n', ['n', 'n', 'o'], 'put back'], // its masks will be made once the new decoder is there
    ['o', ['n', 'on', 'on'], 'put back'],
    ['o', ['on', 'n', 'on'], 'encoded again'],
    ['o', ['on', 'on', 'n'], 'encoded again'], // no masks would be made of the old words
    ['o', ['', 'n', ''], 'encoded again'],
    ['o', ['o', 'n', 'n'], 'put back'], // it would only be encoded by the old one again
    ['o', ['n', 'n', 'o'], 'put back'],
    ['o', ['n', '?n', '?'], 'put back'],
  ])('of the language model, encoded by %s, among %j: %s', (digest, workers, fate) => {
    expect(fateOf('generate', NEW, { model: 'smol', digest }, live(...workers))).toBe(fate);
  });

  it.each<[digest: string, decoders: string, Fate]>([
    ['n', 'n', 'done here'],
    ['o', 'on', 'put back'],
    ['o', '?n', 'put back'],
    ['o', 'n', 'begun anew'],
  ])('of the decoder, with words of %s, among %j: %s', (digest, decoders, fate) => {
    expect(fateOf('decode', NEW, { model: 'smol', digest }, live('n', 'n', decoders))).toBe(fate);
  });

  it('goes to who serves the model that was asked for, if somebody does', () => {
    const large = [{ model: 'large@1', digest: 'l' }];
    const workers = live('n', 'n', 'n');
    expect(fateOf('generate', NEW, { model: 'large', digest: 'l' }, workers)).toBe('not served');
    expect(fateOf('generate', NEW, { model: 'large', digest: 'l' }, { ...workers, generate: large })).toBe('put back');
  });
});
