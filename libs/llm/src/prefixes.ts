import { LRUCache } from 'lru-cache';
import type { Tensor } from '@segue/tensors';
import { packKv, type KvShape, type KvSlice, type KvTensor } from './kv.js';
import type { LanguageObserver } from './observer.js';
import type { PromptBuilder } from './prompt.js';

/** A picture by the cache of its prefix, or by the visual tokens `float32[1, visual, hidden]` to compute that from. */
export type Picture = { readonly imageId: string } & (
  { readonly prefix: KvTensor } | { readonly visualTokens: Tensor<'float32'> }
);

/** A picture whose prefix is not there. */
export type NewPicture = Extract<Picture, { readonly visualTokens: unknown }>;

export interface PrefixParts {
  readonly prompts: PromptBuilder;
  readonly shape: KvShape;
  /** What the prefixes may take, least recently asked-for dropped first; 0 keeps nothing. */
  readonly maxBytes: number;
  readonly observer: LanguageObserver;
}

/** Rows by what has to be read for them. */
export interface SortedRows<R> {
  /** The first to ask about a picture: its prefix is read with their question. */
  readonly first: readonly { readonly row: R; readonly picture: NewPicture }[];
  /** Those whose prefix is there. */
  readonly ready: readonly { readonly row: R; readonly prefix: KvTensor }[];
  /** Those who ask about a picture that is read for another row of these: their turn comes behind it. */
  readonly waiting: readonly R[];
}

/** The key/value caches of the pictures' prefixes: each picture is read once, whatever the number of questions on it. */
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

  /** Token ids of the prefix of a picture that is not read yet. */
  ids({ visualTokens }: NewPicture): number[] {
    return this.#parts.prompts.prefix(visualTokens.shape[1] ?? 0);
  }

  /** Keeps the prefix of a picture that was read with a row, whose cache begins with it. */
  keep(picture: Picture, [cache]: readonly KvSlice[]): void {
    if ('prefix' in picture || !cache) return;
    const { length } = this.ids(picture);
    this.#entries.set(picture.imageId, packKv(this.#parts.shape, [[{ ...cache, length }]], length));
  }

  sort<R extends { readonly picture: Picture }>(rows: readonly R[]): SortedRows<R> {
    const first = new Map<string, { readonly row: R; readonly picture: NewPicture }>();
    const ready: { readonly row: R; readonly prefix: KvTensor }[] = [];
    const waiting: R[] = [];
    for (const row of rows) {
      const { picture } = row;
      const prefix = 'prefix' in picture ? picture.prefix : this.find(picture.imageId);
      const hit = prefix !== undefined || first.has(picture.imageId);
      this.#parts.observer.onPrefix?.({ hit });
      if (prefix) ready.push({ row, prefix });
      else if (hit) waiting.push(row);
      else if ('visualTokens' in picture) first.set(picture.imageId, { row, picture });
    }
    return { first: [...first.values()], ready, waiting };
  }
}
