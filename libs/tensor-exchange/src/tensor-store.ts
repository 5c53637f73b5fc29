import type { TensorSet } from '@segue/stages';
import { byteLength } from '@segue/tensors';
import { LRUCache } from 'lru-cache';

export interface TensorStoreOptions {
  readonly maxBytes: number;
  /** Told of each set that is pushed out by newer ones. */
  readonly onEvicted?: (key: string) => void;
}

/** Tensor sets in memory, bounded by bytes; the one that was used longest ago goes first. */
export class TensorStore {
  readonly #sets: LRUCache<string, TensorSet>;

  constructor(options: TensorStoreOptions) {
    this.#sets = new LRUCache<string, TensorSet>({
      maxSize: options.maxBytes,
      sizeCalculation: (set) =>
        Math.max(
          1,
          Object.values(set).reduce((sum, tensor) => sum + byteLength(tensor), 0),
        ),
      dispose: (_, key, reason) => {
        if (reason === 'evict') options.onEvicted?.(key);
      },
    });
  }

  /** Bytes of all sets. */
  get bytes(): number {
    return this.#sets.calculatedSize;
  }

  keys(): string[] {
    return [...this.#sets.keys()];
  }

  /** @returns whether the set is kept; one that is larger than the whole store is not. */
  put(key: string, tensors: TensorSet): boolean {
    this.#sets.set(key, tensors);
    return this.#sets.has(key);
  }

  get(key: string): TensorSet | undefined {
    return this.#sets.get(key);
  }

  clear(): void {
    this.#sets.clear();
  }
}
