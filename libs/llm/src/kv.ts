import { elementCount, releaseMemory, type Tensor } from '@segue/tensors';

/**
 * Key/value caches are `float32[2 * layers, rows, heads, positions, headDim]`: plane 2l holds the keys of layer l (after
 * RoPE), plane 2l + 1 its values. Positions behind a row's length are padding and stay finite, since the graphs multiply
 * them by zero.
 */
export type KvTensor = Tensor<'float32'>;

/** Sizes of a language model's cache, from the manifest. */
export interface KvShape {
  readonly layers: number;
  readonly heads: number;
  readonly headDim: number;
}

/** The first `length` positions of one row of a cache. */
export interface KvSlice {
  readonly tensor: KvTensor;
  readonly row: number;
  readonly length: number;
}

/** All positions of a cache of one row. */
export function wholeRow(tensor: KvTensor): KvSlice {
  return { tensor, row: 0, length: tensor.shape[3] ?? 0 };
}

/** Positions of a row that is made of slices. */
export function sliceLength(slices: readonly KvSlice[]): number {
  return slices.reduce((length, slice) => length + slice.length, 0);
}

/** A cache in which each row holds its slices one after another, padded with zeros to `capacity` positions. */
export function packKv(shape: KvShape, rows: readonly (readonly KvSlice[])[], capacity: number): KvTensor {
  const size = [2 * shape.layers, rows.length, shape.heads, capacity, shape.headDim];
  const packed: KvTensor = { dtype: 'float32', shape: size, data: new Float32Array(elementCount(size)) };
  rows.forEach((slices, row) => {
    let position = 0;
    for (const slice of slices) {
      copyKv(slice, packed, row, position);
      position += slice.length;
    }
  });
  return packed;
}

function copyKv(from: KvSlice, target: KvTensor, row: number, position: number): void {
  const [planes = 0, targetRows = 0, heads = 0, targetPositions = 0, headDim = 0] = target.shape;
  const [, sourceRows = 0, , sourcePositions = 0] = from.tensor.shape;
  const count = from.length * headDim;
  for (let plane = 0; plane < planes; plane++) {
    for (let head = 0; head < heads; head++) {
      const source = ((plane * sourceRows + from.row) * heads + head) * sourcePositions * headDim;
      const offset = (((plane * targetRows + row) * heads + head) * targetPositions + position) * headDim;
      target.data.set(from.tensor.data.subarray(source, source + count), offset);
    }
  }
}

/**
 * The caches of all running rows as the one tensor that the graph takes. It keeps head-room behind every row, so that while
 * nobody joins or leaves new positions are only written behind the old ones.
 */
export class KvBatch {
  readonly #shape: KvShape;
  readonly #headroom: number;
  #tensor: KvTensor;
  #lengths: readonly number[] = [];

  /** `headroom`: positions left free behind the longest row whenever the tensor is laid out anew. */
  constructor(shape: KvShape, headroom: number) {
    this.#shape = shape;
    this.#headroom = headroom;
    this.#tensor = packKv(shape, [], 0);
  }

  /** Valid positions of each row. */
  get lengths(): readonly number[] {
    return this.#lengths;
  }

  /** The tensor for a run, which borrows it: hand back what came back. */
  get tensor(): KvTensor {
    return this.#tensor;
  }

  /** Keeps the rows at these places, in this order, and puts the joining ones behind them. */
  rearrange(kept: readonly number[], joining: readonly (readonly KvSlice[])[]): void {
    if (joining.length === 0 && kept.length === this.#lengths.length) return;
    this.#layOut([...kept.map((row) => [this.#slice(row)]), ...joining]);
  }

  /** Writes what is new of each row behind it. `lent` is this batch's tensor, back from the run. */
  append(lent: KvTensor, added: readonly KvSlice[]): void {
    this.#tensor = lent;
    const [, , , capacity = 0] = lent.shape;
    const lengths = added.map(({ length }, row) => length + (this.#lengths[row] ?? 0));
    if (Math.max(...lengths) > capacity) {
      this.#layOut(added.map((slice, row) => [this.#slice(row), slice]));
      return;
    }
    added.forEach((slice, row) => {
      copyKv(slice, lent, row, this.#lengths[row] ?? 0);
    });
    this.#lengths = lengths;
  }

  #slice(row: number): KvSlice {
    return { tensor: this.#tensor, row, length: this.#lengths[row] ?? 0 };
  }

  #layOut(rows: readonly (readonly KvSlice[])[]): void {
    const lengths = rows.map(sliceLength);
    const capacity = rows.length === 0 ? 0 : Math.max(...lengths) + this.#headroom;
    const old = this.#tensor;
    this.#tensor = packKv(this.#shape, rows, capacity);
    this.#lengths = lengths;
    releaseMemory(old.data);
  }
}
