import type { Tensor } from '@segue/tensors';
import { expect, test } from 'vitest';

import { TensorStore } from './tensor-store.js';

const floats = (length: number): Tensor => ({ dtype: 'float32', shape: [length], data: new Float32Array(length) });

test('the set that was used longest ago makes room', () => {
  const evicted: string[] = [];
  const store = new TensorStore({ maxBytes: 1_000, onEvicted: (key) => evicted.push(key) });
  store.put('a', { x: floats(50), y: floats(50) });
  store.put('b', { x: floats(100) });
  expect(store.bytes).toBe(800);
  store.get('a');
  store.put('c', { x: floats(100) });
  expect(evicted).toEqual(['b']);
  expect(store.get('b')).toBeUndefined();
  expect(store.keys().sort()).toEqual(['a', 'c']);
});

test('putting a set again evicts nothing', () => {
  const evicted: string[] = [];
  const store = new TensorStore({ maxBytes: 1_000, onEvicted: (key) => evicted.push(key) });
  store.put('a', { x: floats(100) });
  expect(store.put('a', { x: floats(200) })).toBe(true);
  expect(store.bytes).toBe(800);
  expect(evicted).toEqual([]);
});

test('a set that is larger than the store is not kept', () => {
  const store = new TensorStore({ maxBytes: 100 });
  expect(store.put('a', { x: floats(100) })).toBe(false);
  expect(store.bytes).toBe(0);
});
