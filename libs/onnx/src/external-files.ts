import { BinaryReader, WireType } from '@bufbuild/protobuf/wire';

type Kind = 'model' | 'training' | 'graph' | 'function' | 'node' | 'attribute' | 'sparse' | 'tensor' | 'entry' | 'text';

/** The fields of onnx.proto that lead to tensors, by message and number; a tensor says in entries where its data lies. */
const FIELDS: Readonly<Record<Kind, Readonly<Record<number, Kind>>>> = {
  model: { 7: 'graph', 20: 'training', 25: 'function' },
  training: { 1: 'graph', 2: 'graph' },
  graph: { 1: 'node', 5: 'tensor', 15: 'sparse' },
  function: { 7: 'node', 11: 'attribute' },
  node: { 5: 'attribute' },
  attribute: { 5: 'tensor', 6: 'graph', 10: 'tensor', 11: 'graph', 22: 'sparse', 23: 'sparse' },
  sparse: { 1: 'tensor', 2: 'tensor' },
  tensor: { 13: 'entry' },
  entry: { 1: 'text', 2: 'text' },
  text: {},
};

/**
 * The files that an ONNX model names for data of its tensors, as they are written in it.
 * @throws Error for bytes that are no message
 */
export function externalFiles(model: Uint8Array): Set<string> {
  const files = new Set<string>();
  const pending: Pick<Field, 'kind' | 'bytes'>[] = [{ kind: 'model', bytes: model }];
  for (const { kind, bytes } of pending) {
    const inside = fieldsOf(kind, bytes);
    if (kind !== 'entry') for (const field of inside) pending.push(field);
    else if (textOf(inside, 1) === 'location') files.add(textOf(inside, 2));
  }
  return files;
}

interface Field {
  readonly number: number;
  readonly kind: Kind;
  readonly bytes: Uint8Array;
}

function fieldsOf(message: Kind, bytes: Uint8Array): Field[] {
  const reader = new BinaryReader(bytes);
  const fields: Field[] = [];
  while (reader.pos < reader.len) {
    const [number, type] = reader.tag();
    const kind = FIELDS[message][number];
    if (kind && type === WireType.LengthDelimited) fields.push({ number, kind, bytes: reader.bytes() });
    else reader.skip(type, number);
  }
  return fields;
}

/** Of a field that is written twice the last counts. */
function textOf(fields: readonly Field[], wanted: number): string {
  return Buffer.from(fields.findLast(({ number }) => number === wanted)?.bytes ?? []).toString();
}
