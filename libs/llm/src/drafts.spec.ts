import { expect, it } from 'vitest';
import { Drafts } from './drafts.js';

const [it_, is, the, cup, cat, teddy, bear, seg, dot, no] = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10] as const;
const drafts = new Drafts(
  [
    [it_, is, the, cup, seg, dot],
    [it_, is, the, cat, seg, dot],
    [it_, is, the, teddy, bear, seg, dot],
    [no, cat],
  ],
  4,
);

it('guesses what follows in at least half of the usual answers', () => {
  expect(drafts.after([], 9)).toEqual([it_, is, the]);
  expect(drafts.after([it_, is, the], 9)).toEqual([]);
});

it('goes on until nothing is likely, or as far as it may', () => {
  expect(drafts.after([it_, is, the, cup], 9)).toEqual([seg, dot]);
  expect(drafts.after([is, the, teddy], 9)).toEqual([bear, seg, dot]);
  expect(drafts.after([is, the, teddy], 1)).toEqual([bear]);
  expect(drafts.after([it_], 9)).toEqual([is, the]);
  expect(new Drafts([[it_, is, the]], 2).after([], 9)).toEqual([it_, is]);
});

it('lets the token before decide where the last one is new', () => {
  expect(drafts.after([is, the, 77], 9)).toEqual([seg, dot]);
  expect(drafts.after([66, 77], 9)).toEqual([]);
});

it('guesses nothing without usual answers, or when it may not', () => {
  expect(new Drafts([], 4).after([], 9)).toEqual([]);
  expect(new Drafts([[it_, is]], 0).after([], 9)).toEqual([]);
});
