/** Element types that cross a graph's or a worker's border. float16 stays inside graphs; uint16 carries 16-bit levels of it. */
export const DTYPES = {
  float32: { bytes: 4, array: Float32Array },
  int64: { bytes: 8, array: BigInt64Array },
  uint8: { bytes: 1, array: Uint8Array },
  uint16: { bytes: 2, array: Uint16Array },
} as const;

export type DType = keyof typeof DTYPES;
export type TensorData<D extends DType = DType> = InstanceType<(typeof DTYPES)[D]['array']>;

/** A dense row-major tensor. */
export interface Tensor<D extends DType = DType> {
  readonly dtype: D;
  readonly shape: readonly number[];
  readonly data: TensorData<D>;
}

/** Elements in a shape; 1 for a scalar. */
export function elementCount(shape: readonly number[]): number {
  return shape.reduce((count, size) => count * size, 1);
}

/** Bytes that the tensor's elements take. */
export function byteLength(tensor: Tensor): number {
  return tensor.data.byteLength;
}

export function isDType(name: string): name is DType {
  return Object.hasOwn(DTYPES, name);
}
