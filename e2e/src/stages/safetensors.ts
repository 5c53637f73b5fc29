import { readFileSync } from 'node:fs';

/** A float32 tensor of a file. */
export interface StoredTensor {
  readonly shape: readonly number[];
  readonly data: Float32Array;
}

/** Reads the float32 tensors of a safetensors file: a length, a JSON header, then the values. */
export function readSafetensors(path: string): Map<string, StoredTensor> {
  const bytes = readFileSync(path);
  const header = Number(bytes.readBigUInt64LE(0));
  const entries = JSON.parse(bytes.toString('utf8', 8, 8 + header)) as Record<
    string,
    { dtype: string; shape: number[]; data_offsets: [number, number] }
  >;
  return new Map(
    Object.entries(entries)
      .filter(([name]) => name !== '__metadata__')
      .map(
        ([
          name,
          {
            dtype,
            shape,
            data_offsets: [start, end],
          },
        ]) => {
          if (dtype !== 'F32') throw new Error(`${name} in ${path} is ${dtype}`);
          const own = bytes.buffer.slice(bytes.byteOffset + 8 + header + start, bytes.byteOffset + 8 + header + end);
          return [name, { shape, data: new Float32Array(own as ArrayBuffer) }];
        },
      ),
  );
}
