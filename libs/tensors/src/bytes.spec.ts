import { describe, expect, it } from 'vitest';
import { tensorBytes, tensorFromBytes } from './bytes.js';
import { byteLength, elementCount, isDType, type Tensor } from './tensor.js';

describe('tensorBytes', () => {
  it('is a view on exactly the elements, little-endian', () => {
    const data = new Float32Array([9, 1, -2, 9]).subarray(1, 3);
    const bytes = tensorBytes({ dtype: 'float32', shape: [2], data });
    expect([...bytes]).toEqual([0, 0, 0x80, 0x3f, 0, 0, 0, 0xc0]);
    bytes[7] = 0x40;
    expect([...data]).toEqual([1, 2]);
  });
});

describe('tensorFromBytes', () => {
  const tensors: Tensor[] = [
    { dtype: 'float32', shape: [1, 3], data: new Float32Array([1.5, -0, NaN]) },
    { dtype: 'int64', shape: [2, 1], data: new BigInt64Array([-1n, 2n ** 40n]) },
    { dtype: 'uint8', shape: [], data: new Uint8Array([255]) },
    { dtype: 'uint16', shape: [2], data: new Uint16Array([1, 65535]) },
    { dtype: 'float32', shape: [4, 0, 2], data: new Float32Array() },
  ];

  it.each(tensors)('gives back $dtype$shape', (tensor) => {
    expect(tensorFromBytes(tensor.dtype, tensor.shape, tensorBytes(tensor))).toEqual(tensor);
  });

  it.each(tensors)('copies misaligned $dtype$shape', (tensor) => {
    const moved = Buffer.alloc(byteLength(tensor) + 1);
    moved.set(tensorBytes(tensor), 1);
    expect(tensorFromBytes(tensor.dtype, tensor.shape, moved.subarray(1))).toEqual(tensor);
  });

  it('does not copy aligned bytes', () => {
    const bytes = new Uint8Array(8);
    expect(tensorFromBytes('float32', [2], bytes).data.buffer).toBe(bytes.buffer);
  });

  it.each([7, 9])('refuses %i bytes for float32[2]', (length) => {
    expect(() => tensorFromBytes('float32', [2], new Uint8Array(length))).toThrow(/float32\[2\] takes 8 bytes, not/);
  });
});

describe('tensor', () => {
  it('counts one element in a scalar and none in an empty shape', () => {
    expect([elementCount([]), elementCount([2, 3]), elementCount([2, 0])]).toEqual([1, 6, 0]);
  });

  it('knows its types', () => {
    expect([isDType('int64'), isDType('float16'), isDType('toString')]).toEqual([true, false, false]);
  });
});
