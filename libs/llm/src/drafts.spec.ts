import { expect, it } from 'vitest';
import { Drafts } from './drafts.js';

const [it_, is, the, cup, cat, teddy, bear, seg, dot, no, see] = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11] as const;
const drafts = new Drafts(
  [
    [it_, is, the, cup, seg, dot],
    [it_, is, the, cat, seg, dot],
    [it_, is, the, teddy, bear, seg, dot],
    ...Array.from({ length: 20 }, (_, other) => [it_, is, the, 100 + other, seg, dot]),
    [no, cat],
  ],
  6,
);

it('guesses what follows in at least half of the usual answers', () => {
  expect(drafts.after([], [], 9)).toEqual([it_, is, the]);
  expect(drafts.after([it_, is, the], [], 9)).toEqual([]);
});

it('takes of the names that may follow the first that the question says', () => {
  expect(drafts.after([], [77, the, cat, dot], 9)).toEqual([it_, is, the, cat, seg, dot]);
  expect(drafts.after([it_, is, the], [the, teddy, bear, cup], 9)).toEqual([teddy, bear, seg, dot]);
  expect(drafts.after([it_, is, the], [77, 78], 9)).toEqual([]);
});

it('does not name again what the answer has named', () => {
  expect(drafts.after([it_, is, the, cat, seg, is, the], [cat, cup], 9)).toEqual([cup, seg, dot]);
});

it('does not let the question change what is likely', () => {
  expect(drafts.after([it_], [the, cup], 9)).toEqual([is, the, cup, seg, dot]);
});

it('guesses the most frequent where nothing is likely, unless it is rare', () => {
  const start = [it_, it_, it_, see, see, no, no, no].map((token, other) => [token, 100 + other]);
  expect(new Drafts(start, 1).after([], [], 9)).toEqual([it_]);
  expect(new Drafts(start, 1).after([], [see], 9)).toEqual([see]);
  const rare = Array.from({ length: 11 }, (_, other) => [other]);
  expect(new Drafts(rare, 1).after([], [], 9)).toEqual([]);
});

it('goes on until nothing is likely, or as far as it may', () => {
  expect(drafts.after([it_, is, the, cup], [], 9)).toEqual([seg, dot]);
  expect(drafts.after([is, the, teddy], [], 9)).toEqual([bear, seg, dot]);
  expect(drafts.after([is, the, teddy], [], 1)).toEqual([bear]);
  expect(drafts.after([it_], [], 9)).toEqual([is, the]);
  expect(new Drafts([[it_, is, the]], 2).after([], [], 9)).toEqual([it_, is]);
});

it('lets the token before decide where the last one is new', () => {
  expect(drafts.after([is, the, 77], [], 9)).toEqual([seg, dot]);
  expect(drafts.after([66, 77], [], 9)).toEqual([]);
});

it('guesses nothing without usual answers, or when it may not', () => {
  expect(new Drafts([], 4).after([], [cup], 9)).toEqual([]);
  expect(new Drafts([[it_, is]], 0).after([], [], 9)).toEqual([]);
});
