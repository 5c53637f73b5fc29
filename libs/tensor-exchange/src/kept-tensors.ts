import { SingleFlight } from '@segue/inference';
import type { TensorSet, TensorSetRef, TensorSource } from '@segue/stages';
import { TensorStore } from './tensor-store.js';

const SHARED_PULL_LIMIT_MS = 30_000;

export interface KeptTensorsOptions {
  readonly source: TensorSource;
  readonly maxBytes: number;
  /** Hears whether all the names were kept. */
  readonly onLookup?: (hit: boolean) => void;
}

/**
 * Keeps what it pulled, so that the next question about a picture moves nothing. Tasks that ask for one picture at the same
 * time share one pull, which therefore heeds no single task's signal or deadline.
 */
export class KeptTensors implements TensorSource {
  readonly #options: KeptTensorsOptions;
  readonly #kept: TensorStore;
  readonly #pulling = new SingleFlight<string, TensorSet>();

  constructor(options: KeptTensorsOptions) {
    this.#options = options;
    this.#kept = new TensorStore({ maxBytes: options.maxBytes });
  }

  async pull(ref: TensorSetRef, names: readonly string[]): Promise<TensorSet> {
    const kept = this.#kept.get(ref.key);
    const hit = kept !== undefined && names.every((name) => name in kept);
    this.#options.onLookup?.(hit);
    if (hit) return kept;
    return this.#pulling.run(JSON.stringify([ref.key, ...names]), () => this.#pull(ref, names));
  }

  clear(): void {
    this.#kept.clear();
  }

  async #pull(ref: TensorSetRef, names: readonly string[]): Promise<TensorSet> {
    const pulled = await this.#options.source.pull(ref, names, { deadlineAtMs: Date.now() + SHARED_PULL_LIMIT_MS });
    const all = { ...this.#kept.get(ref.key), ...pulled };
    this.#kept.put(ref.key, all);
    return all;
  }
}
