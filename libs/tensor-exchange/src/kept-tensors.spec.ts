import type { TensorSet, TensorSource } from '@segue/stages';
import { expect, test } from 'vitest';
import { KeptTensors } from './kept-tensors.js';

const ref = { key: 'digest/picture', owner: '127.0.0.1:1', cached: false };
const tensor = { dtype: 'uint8' as const, shape: [3], data: Uint8Array.of(1, 2, 3) };

/** A source that counts its pulls and gives what it is asked for. */
function source(delay: Promise<unknown> = Promise.resolve()) {
  const pulls: (readonly string[])[] = [];
  const pull: TensorSource['pull'] = async (_, names) => {
    pulls.push(names);
    await delay;
    return Object.fromEntries(names.map((name) => [name, tensor])) as TensorSet;
  };
  return { pulls, pull };
}

test('what is kept is pulled once, by name', async () => {
  const hits: boolean[] = [];
  const { pulls, pull } = source();
  const kept = new KeptTensors({ source: { pull }, maxBytes: 1_000, onLookup: (hit) => hits.push(hit) });
  expect(Object.keys(await kept.pull(ref, ['a']))).toEqual(['a']);
  expect(Object.keys(await kept.pull(ref, ['a']))).toEqual(['a']);
  expect((await kept.pull(ref, ['a', 'b']))['b']).toEqual(tensor);
  expect(Object.keys(await kept.pull(ref, ['b']))).toContain('b');
  expect(pulls).toEqual([['a'], ['a', 'b']]);
  expect(hits).toEqual([false, true, false, true]);
});

test('those who ask at the same time share a pull, and its failure is not kept', async () => {
  let release = (): void => undefined;
  const { pulls, pull } = source(new Promise<void>((resolve) => (release = resolve)));
  const kept = new KeptTensors({ source: { pull }, maxBytes: 1_000 });
  const all = [kept.pull(ref, ['a']), kept.pull(ref, ['a']), kept.pull(ref, ['b'])];
  release();
  await Promise.all(all);
  expect(pulls).toEqual([['a'], ['b']]);

  let tries = 0;
  const failing = new KeptTensors({
    source: { pull: () => (++tries === 1 ? Promise.reject(new Error('gone')) : Promise.resolve({ a: tensor })) },
    maxBytes: 1_000,
  });
  await expect(failing.pull(ref, ['a'])).rejects.toThrow('gone');
  expect(await failing.pull(ref, ['a'])).toEqual({ a: tensor });
});
