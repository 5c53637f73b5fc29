import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { TensorChunkSchema, TensorHeaderSchema } from '@segue/contracts';
import type { Tensor } from '@segue/tensors';
import { describe, expect, test } from 'vitest';

import { CHUNK_BYTES, chunksOf, serializeChunk, TensorAssembly } from './tensor-chunks.js';

const header = create(TensorHeaderSchema, { dtype: 'float32', shape: [2], byteLength: 8n });

test.each([0, 1, 127, 128, 16_383, 16_384, CHUNK_BYTES])(
  'a chunk of %i bytes reads as protobuf-es writes it',
  (length) => {
    const data = Uint8Array.from({ length }, (_, i) => i);
    for (const chunk of [create(TensorChunkSchema, { data, header }), create(TensorChunkSchema, { data })]) {
      const read = fromBinary(TensorChunkSchema, serializeChunk(chunk));
      expect(Buffer.compare(toBinary(TensorChunkSchema, read), toBinary(TensorChunkSchema, chunk))).toBe(0);
    }
  },
);

const tensors: Tensor[] = [
  { dtype: 'float32', shape: [600_000], data: Float32Array.from({ length: 600_000 }, (_, i) => Math.sin(i)) },
  { dtype: 'int64', shape: [2, 2], data: new BigInt64Array([1n, -1n, 2n ** 62n, 0n]) },
  { dtype: 'uint8', shape: [CHUNK_BYTES], data: new Uint8Array(CHUNK_BYTES).fill(7) },
  { dtype: 'float32', shape: [0, 4], data: new Float32Array() },
  { dtype: 'float32', shape: [3], data: new Float32Array([0, 1, 2, 3]).subarray(1) },
];

test.each(tensors)(
  '$dtype of shape $shape comes out as it went in, from wherever the pieces lie in memory',
  (tensor) => {
    const assembly = new TensorAssembly();
    for (const chunk of chunksOf(tensor)) {
      const shifted = Buffer.concat([Buffer.from([0]), serializeChunk(chunk)]).subarray(1);
      assembly.add(fromBinary(TensorChunkSchema, shifted));
    }
    const out = assembly.finish();
    expect({ ...out, data: [...out.data].slice(0, 1_000) }).toEqual({
      ...tensor,
      data: [...tensor.data].slice(0, 1_000),
    });
    expect(out.data.length).toBe(tensor.data.length);
  },
);

describe('a stream that does not keep to its header is refused', () => {
  const data = new Uint8Array(4);
  test('too little', () => {
    const assembly = new TensorAssembly();
    assembly.add(create(TensorChunkSchema, { data, header }));
    expect(() => assembly.finish()).toThrow('after 4 of 8 bytes');
  });
  test('too much', () => {
    const assembly = new TensorAssembly();
    assembly.add(create(TensorChunkSchema, { data: new Uint8Array(8), header }));
    expect(() => assembly.add(create(TensorChunkSchema, { data }))).toThrow(RangeError);
  });
  test('no header', () => expect(() => new TensorAssembly().finish()).toThrow('without a header'));
  test('a shape of another size', () => {
    const assembly = new TensorAssembly();
    assembly.add(
      create(TensorChunkSchema, { data, header: create(TensorHeaderSchema, { ...header, byteLength: 4n }) }),
    );
    expect(() => assembly.finish()).toThrow(RangeError);
  });
  test('an unknown type', () => {
    const assembly = new TensorAssembly();
    assembly.add(
      create(TensorChunkSchema, { header: create(TensorHeaderSchema, { dtype: 'complex', byteLength: 0n }) }),
    );
    expect(() => assembly.finish()).toThrow('complex');
  });
});
