import { fromBinary, ScalarType, type DescMessage, type Message } from '@bufbuild/protobuf';
import { BinaryReader } from '@bufbuild/protobuf/wire';
import { SegueError } from '@segue/core';

/** Bytes of all fields of a message that do not hold bytes themselves. */
const MAX_BYTES_BESIDE = 256 * 1024;
const MAX_FIELDS = 10_000;

/** A message that could not be read, in its place: what a decoder throws, grpc-js would answer as a defect of the server. */
export class Unreadable {
  constructor(readonly error: SegueError) {}
}

/**
 * Reads a request. Its fields are counted before: millions of small ones take seconds and gigabytes once they are objects.
 */
export function decoderOf(schema: DescMessage): (bytes: Uint8Array) => Message | Unreadable {
  const heavy = new Set(
    schema.fields.flatMap((field) =>
      field.fieldKind === 'scalar' && field.scalar === ScalarType.BYTES ? [field.number] : [],
    ),
  );
  return (bytes) => {
    try {
      checkSize(bytes, heavy);
      return fromBinary(schema, bytes);
    } catch (cause) {
      if (cause instanceof SegueError) return new Unreadable(cause);
      return new Unreadable(
        new SegueError(
          'INVALID_ARGUMENT',
          `What was sent is no ${schema.name}. Use a client that is generated from this service's definition.`,
          { cause },
        ),
      );
    }
  };
}

function checkSize(bytes: Uint8Array, heavy: ReadonlySet<number>): void {
  const reader = new BinaryReader(bytes);
  let beside = 0;
  for (let fields = 0; reader.pos < reader.len; fields++) {
    const start = reader.pos;
    const [number, wireType] = reader.tag();
    reader.skip(wireType, number);
    if (!heavy.has(number)) beside += reader.pos - start;
    if (beside <= MAX_BYTES_BESIDE && fields < MAX_FIELDS) continue;
    throw new SegueError(
      'INVALID_ARGUMENT',
      `Beside the picture a message may hold ${MAX_BYTES_BESIDE} bytes and ${MAX_FIELDS} fields at most. Send fewer turns and options.`,
      { reason: 'TOO_LARGE' },
    );
  }
}
