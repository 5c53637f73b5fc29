import { create, toBinary } from '@bufbuild/protobuf';
import { TensorChunkSchema, TensorHeaderSchema, type TensorChunk, type TensorHeader } from '@segue/contracts';
import { isDType, tensorBytes, tensorFromBytes, type Tensor } from '@segue/tensors';

/** Large enough to be fast, small enough for everyone's receive limit. */
export const CHUNK_BYTES = 1 << 20;

/** `TensorChunk.data`: field 1, length-delimited. */
const DATA_TAG = 0x0a;

/** Cuts a tensor into chunks that are views on it; the first carries the header, also of an empty tensor. */
export function* chunksOf(tensor: Tensor): Generator<TensorChunk> {
  const bytes = tensorBytes(tensor);
  const { dtype, shape } = tensor;
  const header = create(TensorHeaderSchema, { dtype, shape: [...shape], byteLength: BigInt(bytes.byteLength) });
  let start = 0;
  do {
    const data = bytes.subarray(start, start + CHUNK_BYTES);
    yield create(TensorChunkSchema, start === 0 ? { data, header } : { data });
    start += CHUNK_BYTES;
  } while (start < bytes.byteLength);
}

/** Room for one chunk: grpc-js copies a message into its frame before it asks for the next one. */
const scratch = Buffer.allocUnsafe(CHUNK_BYTES + 1024);

/**
 * Same bytes on the wire as `toBinary`, which grows its buffer piece by piece: five times as slow for a chunk.
 * @returns bytes that hold until the next call.
 */
export function serializeChunk(chunk: TensorChunk): Buffer {
  const header = chunk.header
    ? toBinary(TensorChunkSchema, create(TensorChunkSchema, { header: chunk.header }))
    : new Uint8Array();
  const prefix = [DATA_TAG, ...varint(chunk.data.byteLength)];
  const length = header.byteLength + prefix.length + chunk.data.byteLength;
  const buffer = length <= scratch.byteLength ? scratch.subarray(0, length) : Buffer.allocUnsafe(length);
  buffer.set(header, 0);
  buffer.set(prefix, header.byteLength);
  buffer.set(chunk.data, header.byteLength + prefix.length);
  return buffer;
}

/** Puts chunks together again, into memory of its own. */
export class TensorAssembly {
  #header: TensorHeader | undefined;
  #bytes = new Uint8Array();
  #filled = 0;

  /** @throws RangeError for a stream that does not keep to its header. */
  add(chunk: TensorChunk): void {
    if (chunk.header) {
      this.#header = chunk.header;
      this.#bytes = new Uint8Array(Number(chunk.header.byteLength));
    }
    // Throws when the data goes beyond the announced length.
    this.#bytes.set(chunk.data, this.#filled);
    this.#filled += chunk.data.byteLength;
  }

  /** @throws RangeError when data is missing, or is not what the header says. */
  finish(): Tensor {
    const header = this.#header;
    const filled = this.#filled;
    const bytes = this.#bytes;
    if (!header) throw new RangeError('the stream ended without a header');
    if (filled !== bytes.byteLength)
      throw new RangeError(`the stream ended after ${filled} of ${bytes.byteLength} bytes`);
    if (!isDType(header.dtype)) throw new RangeError(`unknown element type ${header.dtype}`);
    return tensorFromBytes(header.dtype, header.shape, bytes);
  }
}

function varint(value: number): number[] {
  const bytes: number[] = [];
  for (; value > 0x7f; value >>>= 7) bytes.push((value & 0x7f) | 0x80);
  return [...bytes, value];
}
