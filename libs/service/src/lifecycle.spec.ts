import { expect, it } from 'vitest';
import { Lifecycle } from './lifecycle.js';

it('goes from starting to stopped and tells its listeners', () => {
  const lifecycle = new Lifecycle();
  const seen: string[] = [];
  const unsubscribe = lifecycle.onChange((state) => seen.push(state));
  lifecycle.to('warming');
  lifecycle.to('ready');
  lifecycle.to('draining');
  unsubscribe();
  lifecycle.to('stopped');
  expect(seen).toEqual(['warming', 'ready', 'draining']);
});

it('refuses a step that the machine does not have', () => {
  const lifecycle = new Lifecycle();
  expect(() => lifecycle.to('ready')).toThrow('starting cannot become ready');
});
