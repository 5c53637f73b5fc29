import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import { expect, it } from 'vitest';
import { externalFiles } from './external-files.js';

/** A message with one field, which holds another message or bytes. */
function field(number: number, ...contents: readonly Uint8Array[]): Uint8Array {
  return new BinaryWriter().tag(number, WireType.LengthDelimited).bytes(Buffer.concat(contents)).finish();
}

const text = (value: string): Uint8Array => Buffer.from(value);

function tensorAt(location: string): Uint8Array {
  const entry = (key: string, value: string) => field(13, field(1, text(key)), field(2, text(value)));
  return Buffer.concat([entry('offset', '4096'), entry('location', location)]);
}

it.each([
  ['an initializer', (tensor: Uint8Array) => field(7, field(5, tensor))],
  ['the values of a sparse one', (tensor: Uint8Array) => field(7, field(15, field(1, tensor)))],
  ['a constant', (tensor: Uint8Array) => field(7, field(1, field(5, field(5, tensor))))],
  ['a list of constants', (tensor: Uint8Array) => field(7, field(1, field(5, field(10, tensor))))],
  ['the body of a loop', (tensor: Uint8Array) => field(7, field(1, field(5, field(6, field(5, tensor)))))],
  ['a function', (tensor: Uint8Array) => field(25, field(7, field(5, field(5, tensor))))],
])('finds the file of %s', (_, model) => {
  expect(externalFiles(model(tensorAt('../weights.bin')))).toEqual(new Set(['../weights.bin']));
});

it('goes as deep as a graph does', () => {
  let graph = field(5, tensorAt('deep.bin'));
  for (let depth = 0; depth < 2000; depth++) graph = field(1, field(5, field(6, graph)));
  expect(externalFiles(field(7, graph))).toEqual(new Set(['deep.bin']));
});

it('refuses what is no message', () => {
  expect(() => externalFiles(text('version https://git-lfs.github.com/spec/v1'))).toThrow();
});
