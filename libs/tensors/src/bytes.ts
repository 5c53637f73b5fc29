import { DTYPES, elementCount, type DType, type Tensor, type TensorData } from './tensor.js';

/** The tensor's elements as little-endian bytes: a view, not a copy. */
export function tensorBytes(tensor: Tensor): Uint8Array {
  const { buffer, byteOffset, byteLength } = tensor.data;
  return new Uint8Array(buffer, byteOffset, byteLength);
}

/**
 * The reverse of `tensorBytes`. The tensor is a view on `bytes`, or a copy where their offset does not suit the type.
 * @throws RangeError when the bytes are more or fewer than the shape asks for.
 */
export function tensorFromBytes<D extends DType>(dtype: D, shape: readonly number[], bytes: Uint8Array): Tensor<D> {
  const { array, bytes: size } = DTYPES[dtype];
  const length = elementCount(shape);
  if (bytes.byteLength !== length * size) {
    throw new RangeError(`${dtype}[${shape.join(', ')}] takes ${length * size} bytes, not ${bytes.byteLength}`);
  }
  const aligned = bytes.byteOffset % size === 0 ? bytes : new Uint8Array(bytes);
  return { dtype, shape, data: new array(aligned.buffer as ArrayBuffer, aligned.byteOffset, length) as TensorData<D> };
}
