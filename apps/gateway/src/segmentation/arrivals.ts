import { startPeriodic, type Periodic } from '@segue/core';
import type { Jobs } from '@segue/jobs';
import type { Logger } from '@segue/service';

const TELL_EVERY_MS = 1_000;

/** Counts the requests that come to this gateway and those that are refused, and tells all gateways of them once a second. */
export class Arrivals {
  readonly #jobs: Jobs;
  readonly #logger: Logger;
  #untold = 0;
  #refused = new Map<string, number>();

  constructor(jobs: Jobs, logger: Logger) {
    this.#jobs = jobs;
    this.#logger = logger;
  }

  note(): void {
    this.#untold++;
  }

  /** A request was refused for what its tenant or the whole service has to do. */
  refuse(tenant: string): void {
    this.#refused.set(tenant, (this.#refused.get(tenant) ?? 0) + 1);
  }

  /** Tells until it is stopped. */
  start(): Periodic {
    return startPeriodic({
      everyMs: TELL_EVERY_MS,
      run: async () => {
        const requests = this.#untold;
        const refused = [...this.#refused];
        this.#refused.clear();
        // Those that come while Redis is away are not made up for: autoscalers ask what comes now.
        this.#untold = 0;
        await Promise.all([
          requests > 0 ? this.#jobs.countArrivals(requests) : undefined,
          ...refused.map(([tenant, times]) => this.#jobs.usage.count(tenant, 'refused', times)),
        ]);
      },
      onError: (error) => this.#logger.warn({ err: error }, 'could not count the requests that have come'),
    });
  }
}
