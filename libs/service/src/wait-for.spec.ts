import { expect, it } from 'vitest';
import { Lifecycle } from './lifecycle.js';
import { waitFor } from './wait-for.js';

function warming() {
  const warned: unknown[] = [];
  const lifecycle = new Lifecycle();
  lifecycle.to('warming');
  const logger = { warn: (message: unknown) => void warned.push(message) };
  return { warned, context: { lifecycle, logger: logger as never } };
}

it('asks until there is no problem, and tells of each once', async () => {
  const { warned, context } = warming();
  const problems = ['It is late.', 'It is late.', 'It is full.', undefined];
  const told: unknown[] = [];
  await waitFor(context, () => {
    told.push(context.lifecycle.waitsFor);
    return Promise.resolve(problems.shift());
  });
  expect(warned).toEqual(['waiting: It is late.', 'waiting: It is full.']);
  expect(told).toEqual([undefined, undefined, 'It is late.', 'It is full.']);
  expect(context.lifecycle.waitsFor).toBeUndefined();
});

it('says nothing of what is there at the second look', async () => {
  const { warned, context } = warming();
  const problems = ['It is late.', undefined];
  await waitFor(context, () => Promise.resolve(problems.shift()));
  expect(warned).toEqual([]);
});

it('ends when the process is told to stop', async () => {
  const { context } = warming();
  const waiting = waitFor(context, () => Promise.resolve('It never comes.'));
  context.lifecycle.to('draining');
  await waiting;
  expect(context.lifecycle.waitsFor).toBeUndefined();
});
