import { fromBinary } from '@bufbuild/protobuf';
import { TensorChunkSchema } from '@segue/contracts';
import { array, assert, float, integer, property } from 'fast-check';
import { expect, it } from 'vitest';
import { chunksOf, CHUNK_BYTES, serializeChunk, TensorAssembly } from './tensor-chunks.js';

const sent = (data: Float32Array<ArrayBuffer>, shape: number[]) => {
  const assembly = new TensorAssembly();
  for (const chunk of chunksOf({ dtype: 'float32', shape, data }))
    assembly.add(fromBinary(TensorChunkSchema, Uint8Array.from(serializeChunk(chunk))));
  return assembly.finish();
};

it('any tensor arrives as it was sent', () => {
  assert(
    property(array(float({ noNaN: false })), (values) => {
      const data = Float32Array.from(values);
      expect(sent(data, [1, data.length])).toEqual({ dtype: 'float32', shape: [1, data.length], data });
    }),
  );
});

it('of any length around that of a chunk', () => {
  assert(
    property(integer({ min: -3, max: 3 }), integer({ min: 1, max: 2 }), (more, chunks) => {
      const data = new Float32Array((chunks * CHUNK_BYTES) / 4 + more).fill(more);
      // Element by element, toEqual takes a second.
      expect(Buffer.from(sent(data, [data.length]).data.buffer).equals(Buffer.from(data.buffer))).toBe(true);
    }),
    { numRuns: 20 },
  );
});
