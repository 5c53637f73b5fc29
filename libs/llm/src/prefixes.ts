import { LRUCache } from 'lru-cache';
import type { AsyncContext } from '@segue/inference';
import { releaseMemory, type Tensor } from '@segue/tensors';
import type { LanguageGraphs, PrefillRow } from './graphs.js';
import { packKv, type KvShape, type KvTensor } from './kv.js';
import type { LanguageObserver } from './observer.js';
import type { PromptBuilder } from './prompt.js';

/** A picture by the cache of its prefix, or by the visual tokens `float32[1, visual, hidden]` to compute that from. */
export type Picture = { readonly imageId: string } & (
  { readonly prefix: KvTensor } | { readonly visualTokens: Tensor<'float32'> }
);

export interface PrefixParts {
  readonly graphs: LanguageGraphs;
  readonly prompts: PromptBuilder;
  readonly shape: KvShape;
  /** What the prefixes may take, least recently asked-for dropped first; 0 keeps nothing. */
  readonly maxBytes: number;
  readonly observer: LanguageObserver;
}

/** The key/value caches of the pictures' prefixes: one prefill a picture, whatever the number of questions on it. */
export class PicturePrefixes {
  readonly #parts: PrefixParts;
  readonly #entries: LRUCache<string, KvTensor>;

  constructor(parts: PrefixParts) {
    this.#parts = parts;
    this.#entries = new LRUCache({
      maxSize: Math.max(1, parts.maxBytes),
      sizeCalculation: (kv) => Math.max(1, kv.data.byteLength),
    });
  }

  find(imageId: string): KvTensor | undefined {
    return this.#entries.get(imageId);
  }

  /**
   * The prefixes of the rows' pictures, in any order; the missing ones are computed in one run, each picture once.
   * `cached`: it was there, or is computed for another row.
   */
  async prepare<R extends { readonly picture: Picture; readonly within: AsyncContext }>(
    rows: readonly R[],
  ): Promise<{ readonly row: R; readonly prefix: KvTensor; readonly cached: boolean }[]> {
    const { graphs, prompts, shape, observer } = this.#parts;
    const prepared: { row: R; prefix: KvTensor; cached: boolean }[] = [];
    const missing = new Map<string, Omit<PrefillRow, 'askers'> & { readonly imageId: string; readonly askers: R[] }>();
    for (const row of rows) {
      const { imageId } = row.picture;
      const prefix = 'prefix' in row.picture ? row.picture.prefix : this.find(imageId);
      const flight = missing.get(imageId);
      observer.onPrefix?.({ hit: prefix !== undefined || flight !== undefined });
      if (prefix) {
        prepared.push({ row, prefix, cached: true });
      } else if (flight) {
        flight.askers.push(row);
      } else if ('visualTokens' in row.picture) {
        const { visualTokens } = row.picture;
        const ids = prompts.prefix(visualTokens.shape[1] ?? 0);
        missing.set(imageId, { imageId, askers: [row], ids, past: [], visualTokens });
      }
    }
    if (missing.size === 0) return prepared;
    const prefilled = await graphs.prefill([...missing.values()]);
    for (const { row, kv } of prefilled) {
      const prefix = packKv(shape, [[kv]], kv.length);
      this.#entries.set(row.imageId, prefix);
      prepared.push(...row.askers.map((asker, index) => ({ row: asker, prefix, cached: index > 0 })));
    }
    for (const { kv } of prefilled) releaseMemory(kv.tensor.data);
    return prepared;
  }
}
