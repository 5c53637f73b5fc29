import { describe, expect, it } from 'vitest';
import { KvBatch, packKv, sliceLength, wholeRow, type KvShape, type KvSlice, type KvTensor } from './kv.js';

const shape: KvShape = { layers: 2, heads: 3, headDim: 2 };

/** A cache whose entry at each place is told by its row's name and its plane, head, position and dimension. */
function named(names: readonly number[], positions: number, from = 0): KvTensor {
  const data: number[] = [];
  for (let plane = 0; plane < 4; plane++) {
    for (const name of names) {
      for (let head = 0; head < 3; head++) {
        for (let position = from; position < from + positions; position++) {
          for (let d = 0; d < 2; d++) data.push(value(name, plane, head, position, d));
        }
      }
    }
  }
  return { dtype: 'float32', shape: [4, names.length, 3, positions, 2], data: Float32Array.from(data) };
}

function value(name: number, plane: number, head: number, position: number, d: number): number {
  return name * 10_000 + plane * 1_000 + head * 200 + position * 2 + d;
}

/** Checks that the rows hold these names' positions and zeros behind them. */
function expectRows(tensor: KvTensor, names: readonly number[], lengths: readonly number[]): void {
  const [planes = 0, rows = 0, heads = 0, capacity = 0] = tensor.shape;
  expect([planes, rows, heads]).toEqual([4, names.length, 3]);
  let at = 0;
  for (let plane = 0; plane < planes; plane++) {
    names.forEach((name, row) => {
      for (let head = 0; head < heads; head++) {
        for (let position = 0; position < capacity; position++) {
          for (let d = 0; d < 2; d++) {
            const wanted = position < lengths[row]! ? value(name, plane, head, position, d) : 0;
            if (tensor.data[at++] !== wanted) throw new Error(`row ${row} differs at position ${position}`);
          }
        }
      }
    });
  }
  expect(at).toBe(tensor.data.length);
}

/** The first positions of each row. */
function sliced(tensor: KvTensor, lengths: readonly number[]): KvSlice[] {
  return lengths.map((length, row) => ({ tensor, row, length }));
}

describe('packKv', () => {
  it('puts slices behind one another and zeros behind them', () => {
    const rows: KvSlice[][] = [
      [wholeRow(named([1], 3)), { tensor: named([9, 1], 4, 3), row: 1, length: 2 }],
      [{ tensor: named([2, 3], 4), row: 1, length: 4 }],
      [],
    ];
    expect(rows.map(sliceLength)).toEqual([5, 4, 0]);
    expectRows(packKv(shape, rows, 6), [1, 3, 0], [5, 4, 0]);
  });

  it('packs nothing into an empty tensor', () => {
    expect(packKv(shape, [[]], 0)).toEqual({ dtype: 'float32', shape: [4, 1, 3, 0, 2], data: new Float32Array() });
  });
});

describe('KvBatch', () => {
  function joined(): KvBatch {
    const batch = new KvBatch(shape, 4);
    batch.rearrange([], [[wholeRow(named([1], 3))], [wholeRow(named([2], 5))]]);
    return batch;
  }

  it('leaves room behind the longest row', () => {
    const batch = joined();
    expect(batch.tensor.shape).toEqual([4, 2, 3, 9, 2]);
    expectRows(batch.tensor, [1, 2], [3, 5]);
  });

  it('appends in place while there is room', () => {
    const batch = joined();
    const before = batch.tensor;
    const rows: KvSlice[][] = [[{ tensor: named([1], 6), row: 0, length: 6 }], [wholeRow(named([2], 7))]];
    const fresh: KvTensor = {
      ...packKv(shape, [[], []], 3),
      data: packKv(shape, [[wholeRow(named([1], 3, 3))], [wholeRow(named([2], 3, 5))]], 3).data,
    };
    batch.append(before, sliced(fresh, [3, 2]));
    expect(batch.tensor).toBe(before);
    expect(batch.lengths).toEqual(rows.map(sliceLength));
    expectRows(batch.tensor, [1, 2], [6, 7]);
  });

  it('is laid out anew when the room is used up', () => {
    const batch = joined();
    const fresh = packKv(shape, [[wholeRow(named([1], 5, 3))], [wholeRow(named([2], 5, 5))]], 5);
    batch.append(batch.tensor, sliced(fresh, [5, 5]));
    expect(batch.tensor.shape[3]).toBe(14);
    expectRows(batch.tensor, [1, 2], [8, 10]);
  });

  it('lets rows leave and join', () => {
    const batch = joined();
    batch.rearrange([1], [[wholeRow(named([7], 2))]]);
    expectRows(batch.tensor, [2, 7], [5, 2]);
    batch.rearrange([], []);
    expect(batch.tensor.data.length).toBe(0);
  });

  it('moves nothing when the same rows stay', () => {
    const batch = joined();
    const before = batch.tensor;
    batch.rearrange([0, 1], []);
    expect(batch.tensor).toBe(before);
  });
});
