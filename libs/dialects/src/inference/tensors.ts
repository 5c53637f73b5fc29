import { decodeMask, SegueError, type Answer } from '@segue/core';

/** Types of the protocol that are used here: https://github.com/kserve/open-inference-protocol, "Tensor Data Types". */
export type DataType = 'BYTES' | 'BOOL' | 'INT32' | 'FP32';

export interface TensorInfo {
  readonly name: string;
  readonly datatype: DataType;
  /** -1 where the size differs from answer to answer. */
  readonly shape: readonly number[];
}

export interface Tensor extends TensorInfo {
  /** Texts of BYTES, else numbers, 0 and 1 for BOOL; row by row. */
  readonly values: readonly string[] | ArrayLike<number>;
}

/** What a model takes; either picture, and nothing else is required but the question. */
export const INPUTS: readonly TensorInfo[] = [
  { name: 'image', datatype: 'BYTES', shape: [1] },
  { name: 'image_id', datatype: 'BYTES', shape: [1] },
  { name: 'instruction', datatype: 'BYTES', shape: [1] },
];

/** What a model gives, in an order that stays; `n` masks of the picture's own size. */
export const OUTPUTS: readonly TensorInfo[] = [
  { name: 'text', datatype: 'BYTES', shape: [1] },
  { name: 'phrases', datatype: 'BYTES', shape: [-1] },
  { name: 'spans', datatype: 'INT32', shape: [-1, 2] },
  { name: 'scores', datatype: 'FP32', shape: [-1] },
  { name: 'boxes', datatype: 'INT32', shape: [-1, 4] },
  { name: 'masks', datatype: 'BOOL', shape: [-1, -1, -1] },
  { name: 'counts', datatype: 'BYTES', shape: [-1] },
  { name: 'size', datatype: 'INT32', shape: [2] },
  { name: 'image_id', datatype: 'BYTES', shape: [1] },
  { name: 'job_id', datatype: 'BYTES', shape: [1] },
];

/**
 * An answer as tensors.
 * @param size height and width of the picture, for answers without a mask.
 * @param wanted names of outputs; all when empty. @throws SegueError INVALID_ARGUMENT for a name that is none.
 */
export function toTensors(answer: Answer, size: readonly [number, number], wanted: readonly string[]): Tensor[] {
  const known = new Map(OUTPUTS.map((info) => [info.name, info]));
  const names = wanted.length > 0 ? wanted : OUTPUTS.map(({ name }) => name);
  return names.map((name) => {
    const info = known.get(name);
    if (!info) {
      throw new SegueError(
        'INVALID_ARGUMENT',
        `There is no output of this name. Name some of: ${[...known.keys()].join(', ')}.`,
      );
    }
    return { ...info, ...valuesOf(name, answer, size) };
  });
}

function valuesOf(
  name: string,
  { text, segments, imageId, jobId }: Answer,
  [height, width]: readonly [number, number],
): Pick<Tensor, 'shape' | 'values'> {
  const count = segments.length;
  switch (name) {
    case 'phrases':
      return { shape: [count], values: segments.map(({ phrase }) => phrase) };
    case 'spans':
      return { shape: [count, 2], values: segments.flatMap(({ span }) => [...span]) };
    case 'scores':
      return { shape: [count], values: segments.map(({ score }) => score) };
    case 'boxes':
      return { shape: [count, 4], values: segments.flatMap(({ box }) => [...box]) };
    case 'masks': {
      const values = new Uint8Array(count * height * width);
      segments.forEach(({ mask }, index) => values.set(decodeMask(mask), index * height * width));
      return { shape: [count, height, width], values };
    }
    case 'counts':
      return { shape: [count], values: segments.map(({ mask }) => mask.counts) };
    case 'size':
      return { shape: [2], values: [height, width] };
    case 'image_id':
      return { shape: [1], values: [imageId] };
    case 'job_id':
      return { shape: [1], values: [jobId] };
    default:
      return { shape: [1], values: [text] };
  }
}

/** Values as bytes, little-endian; texts each behind their length in four bytes. */
export function toRaw({ datatype, values }: Tensor): Uint8Array {
  if (datatype === 'BYTES') return packTexts(values as readonly string[]);
  const numbers = values as ArrayLike<number>;
  if (datatype === 'BOOL') return Uint8Array.from(numbers);
  const raw = Buffer.alloc(numbers.length * 4);
  for (let i = 0; i < numbers.length; i++) {
    if (datatype === 'FP32') raw.writeFloatLE(numbers[i] ?? 0, i * 4);
    else raw.writeInt32LE(numbers[i] ?? 0, i * 4);
  }
  return raw;
}

function packTexts(texts: readonly string[]): Uint8Array {
  return Buffer.concat(
    texts.flatMap((text) => {
      const [length, bytes] = [Buffer.alloc(4), Buffer.from(text)];
      length.writeUInt32LE(bytes.byteLength);
      return [length, bytes];
    }),
  );
}

/** The one element of a BYTES tensor. @throws SegueError INVALID_ARGUMENT */
export function unpackOne(raw: Uint8Array, name: string): Uint8Array {
  const view = new DataView(raw.buffer, raw.byteOffset, raw.byteLength);
  if (raw.byteLength >= 4 && view.getUint32(0, true) === raw.byteLength - 4) return raw.subarray(4);
  throw new SegueError(
    'INVALID_ARGUMENT',
    `The input "${name}" must hold one element: its length in four bytes, and its bytes.`,
  );
}
