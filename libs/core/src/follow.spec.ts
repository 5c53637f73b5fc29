import { expect, it } from 'vitest';
import { follow } from './follow.js';

it('follows what changes, and holds on to what was before a change that cannot be used', async () => {
  let text = '1';
  const [changes, errors]: [number[], unknown[]] = [[], []];
  const followed = await follow({
    read: async () => text,
    isSame: (a, b) => a === b,
    make: (source) => {
      if (Number.isNaN(Number(source))) throw new Error(`${source} is no number`);
      return Number(source);
    },
    onChange: (made) => changes.push(made),
    onError: (error) => errors.push(error),
    everyMs: 5,
  });
  expect(followed.current).toBe(1);

  text = 'half';
  await expect.poll(() => errors).toEqual([new Error('half is no number')]);
  expect(followed.current).toBe(1);

  text = '2';
  await expect.poll(() => followed.current).toBe(2);
  await followed.stop();
  // Each change is told of once, whether it can be used or not.
  expect([changes, errors.length]).toEqual([[2], 1]);
});

it('says at the start what cannot be used', async () => {
  const refused = follow({
    read: async () => 'none',
    isSame: (a, b) => a === b,
    make: () => {
      throw new Error('no good');
    },
    onError: () => undefined,
  });
  await expect(refused).rejects.toThrow('no good');
});
