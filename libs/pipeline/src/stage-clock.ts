import { performance } from 'node:perf_hooks';
import type { Stage, Timings } from '@segue/core';

/** Adds up how long the stages of one request take. */
export class StageClock {
  readonly #startedAt = performance.now();
  readonly #spent: Record<Stage, number> = { encode: 0, generate: 0, decode: 0 };

  async time<T>(stage: Stage, work: () => Promise<T>): Promise<T> {
    const startedAt = performance.now();
    try {
      return await work();
    } finally {
      this.#spent[stage] += performance.now() - startedAt;
    }
  }

  /** Whole milliseconds; nothing waits in a queue. */
  timings(): Timings {
    const { encode, generate, decode } = this.#spent;
    const total = performance.now() - this.#startedAt;
    return {
      queue: 0,
      encode: Math.round(encode),
      generate: Math.round(generate),
      decode: Math.round(decode),
      total: Math.round(total),
    };
  }
}
