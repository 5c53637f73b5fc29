import { startPeriodic, type Periodic } from '@segue/core';
import type { Jobs } from '@segue/jobs';
import type { Logger } from '@segue/service';

const TELL_EVERY_MS = 1_000;

/** Counts the requests that come to this gateway, admitted or refused, and tells all gateways of them once a second. */
export class Arrivals {
  readonly #jobs: Jobs;
  readonly #logger: Logger;
  #untold = 0;

  constructor(jobs: Jobs, logger: Logger) {
    this.#jobs = jobs;
    this.#logger = logger;
  }

  note(): void {
    this.#untold++;
  }

  /** Tells until it is stopped. */
  start(): Periodic {
    return startPeriodic({
      everyMs: TELL_EVERY_MS,
      run: async () => {
        const requests = this.#untold;
        if (requests === 0) return;
        // Those that come while Redis is away are not made up for: autoscalers ask what comes now.
        this.#untold = 0;
        await this.#jobs.countArrivals(requests);
      },
      onError: (error) => this.#logger.warn({ err: error }, 'could not count the requests that have come'),
    });
  }
}
