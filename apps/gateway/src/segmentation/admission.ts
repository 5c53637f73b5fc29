import { SegueError, type Stage } from '@segue/core';
import type { Jobs, QueueDepth, QueueKey } from '@segue/jobs';

const STAGES: readonly Stage[] = ['encode', 'generate', 'decode'];
/** How old a look at the queues may be: one look serves all requests of that time. */
const LOOK_MAX_AGE_MS = 500;
const RETRY_FULL_MS = 5_000;
const RETRY_NO_WORKER_MS = 3_000;

interface Look {
  readonly depth: Readonly<Record<QueueKey, QueueDepth>>;
  /** Workers that are heard of. */
  readonly workers: Readonly<Record<Stage, number>>;
  /** Requests admitted since. */
  admitted: number;
}

export interface AdmissionOptions {
  /** Tasks that may wait in any one queue. */
  readonly maxQueueDepth: number;
  /** Stages that need no worker to be admitted to, because one is started when there is work. */
  readonly scalableStages: readonly Stage[];
  /** Tasks that may wait in any one queue while such a stage has no worker. */
  readonly maxStartingDepth: number;
}

/** Refuses work that would only wait for its deadline: when the queues are full, or a stage has nobody to work on it. */
export class Admission {
  readonly #jobs: Jobs;
  readonly #options: AdmissionOptions;
  #look: Promise<Look> | undefined;
  #lookedAtMs = 0;

  constructor(jobs: Jobs, options: AdmissionOptions) {
    this.#jobs = jobs;
    this.#options = options;
  }

  /**
   * @returns the stages whose workers are yet to be started, for which the job will wait.
   * @throws SegueError RESOURCE_EXHAUSTED or UNAVAILABLE, saying when to try again.
   */
  async admit(): Promise<readonly Stage[]> {
    const { scalableStages, maxQueueDepth, maxStartingDepth } = this.#options;
    let look = await this.#lookOfAge(LOOK_MAX_AGE_MS);
    const idle = STAGES.filter((stage) => look.workers[stage] === 0);
    if (idle.some((stage) => !scalableStages.includes(stage))) {
      throw new SegueError(
        'UNAVAILABLE',
        `No worker for ${idle.map((stage) => `"${stage}"`).join(' and ')} is running at the moment. Try again in a few seconds.`,
        { retryAfterMs: RETRY_NO_WORKER_MS, details: { stages: idle } },
      );
    }
    // Those admitted since the look may be done by now: before refusing, look again.
    const limit = idle.length > 0 ? Math.min(maxStartingDepth, maxQueueDepth) : maxQueueDepth;
    if (isFull(look, limit) && look.admitted > 0) look = await this.#lookOfAge(0);
    if (isFull(look, limit)) {
      throw new SegueError('RESOURCE_EXHAUSTED', 'Too many requests are waiting already. Try again in a few seconds.', {
        retryAfterMs: RETRY_FULL_MS,
      });
    }
    look.admitted++;
    return idle;
  }

  /** Shared by all who ask meanwhile, a failure too: requests do not queue up for a Redis that is away. */
  #lookOfAge(maxAgeMs: number): Promise<Look> {
    const nowMs = Date.now();
    if (!this.#look || nowMs - this.#lookedAtMs >= maxAgeMs) {
      this.#lookedAtMs = nowMs;
      this.#look = this.#lookNow();
    }
    return this.#look;
  }

  async #lookNow(): Promise<Look> {
    const [depth, encode, generate, decode] = await Promise.all([
      this.#jobs.depth(),
      ...STAGES.map((stage) => this.#jobs.workers(stage)),
    ]);
    const count = (workers: readonly unknown[] | undefined): number => workers?.length ?? 0;
    const workers = { encode: count(encode), generate: count(generate), decode: count(decode) };
    return { depth, workers, admitted: 0 };
  }
}

function isFull({ depth, admitted }: Look, limit: number): boolean {
  return Math.max(...STAGES.map((stage) => depth[stage].waiting)) + admitted >= limit;
}
