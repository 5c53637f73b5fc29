/** Element types that cross a graph's or a worker's border; float16 travels as raw bits and never enters a graph. */
export const DTYPES = {
  float32: { bytes: 4, array: Float32Array },
  float16: { bytes: 2, array: Uint16Array },
  int64: { bytes: 8, array: BigInt64Array },
  int32: { bytes: 4, array: Int32Array },
  uint8: { bytes: 1, array: Uint8Array },
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
