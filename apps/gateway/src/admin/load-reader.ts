import type { Stage } from '@segue/core';
import type { Jobs, SeedRates, StageLoad } from '@segue/jobs';

/** One reading serves all who ask within this time. */
const MAX_AGE_MS = 500;

/** Reads the load of the stages, which is the same at every gateway. */
export class LoadReader {
  readonly #jobs: Jobs;
  readonly #seeds: SeedRates;
  #reading: Promise<Record<Stage, StageLoad>> | undefined;
  #readAtMs = 0;

  constructor(jobs: Jobs, seeds: SeedRates) {
    this.#jobs = jobs;
    this.#seeds = seeds;
  }

  /** @throws SegueError UNAVAILABLE without Redis. */
  read(): Promise<Record<Stage, StageLoad>> {
    const nowMs = performance.now();
    if (!this.#reading || nowMs - this.#readAtMs >= MAX_AGE_MS) {
      this.#readAtMs = nowMs;
      this.#reading = this.#jobs.loads(this.#seeds);
    }
    return this.#reading;
  }
}
