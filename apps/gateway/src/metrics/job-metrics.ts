import { startPeriodic, type Periodic } from '@segue/core';
import type { JobRecord, Jobs } from '@segue/jobs';
import type { WebhookQueue } from '@segue/webhooks';
import { Counter, Histogram, SECONDS_BUCKETS, type Logger, type Registry } from '@segue/service';

const LOOK_EVERY_MS = 1_000;
const BATCH = 200;

/**
 * Counts jobs as they end, wherever they are ended: by a worker, by their deadline, by a client. Every ended job is given
 * to one gateway, so that the sum over all gateways is right.
 */
export class JobMetrics {
  readonly #jobs: Counter<'outcome' | 'code'>;
  readonly #tenants: Counter<'tenant' | 'outcome'>;
  readonly #seconds: Histogram<'phase'>;
  readonly #cacheHits: Counter<'cache'>;
  readonly #segments: Counter;
  readonly #recomputes: Counter;
  readonly #source: Jobs;
  readonly #logger: Logger;
  readonly #webhooks: Pick<WebhookQueue, 'hasten'>;

  constructor(registry: Registry, source: Jobs, logger: Logger, webhooks: Pick<WebhookQueue, 'hasten'>) {
    this.#webhooks = webhooks;
    this.#source = source;
    this.#logger = logger;
    const registers = [registry];
    this.#jobs = new Counter({
      name: 'segue_jobs_total',
      help: 'Jobs that have ended, by outcome and, of those that failed, by code.',
      labelNames: ['outcome', 'code'],
      registers,
    });
    // There from the beginning, so that the first job is seen as a change.
    this.#jobs.inc({ outcome: 'completed', code: '' }, 0);
    this.#tenants = new Counter({
      name: 'segue_tenant_jobs_total',
      help: 'Jobs that have ended, by tenant and outcome.',
      labelNames: ['tenant', 'outcome'],
      registers,
    });
    this.#seconds = new Histogram({
      name: 'segue_job_seconds',
      help: 'Time of completed jobs: waiting (queue), in each stage, and in all.',
      labelNames: ['phase'],
      buckets: SECONDS_BUCKETS,
      registers,
    });
    this.#cacheHits = new Counter({
      name: 'segue_job_cache_hits_total',
      help: 'Completed jobs that found the encoded picture (image) or its language model prefix (prefix) ready.',
      labelNames: ['cache'],
      registers,
    });
    this.#segments = new Counter({ name: 'segue_job_segments_total', help: 'Segments of completed jobs.', registers });
    this.#recomputes = new Counter({
      name: 'segue_recomputes_total',
      help: 'Pictures that were encoded again because their tensors were lost.',
      registers,
    });
  }

  /** Counts until it is stopped. */
  start(): Periodic {
    return startPeriodic({
      everyMs: LOOK_EVERY_MS,
      run: async () => {
        const records = await this.#source.takeEnded(BATCH);
        for (const record of records) this.#count(record);
        // Whoever waits for one would hear of it anyhow, but not before its deadline.
        for (const { jobId } of records) await this.#webhooks.hasten(jobId);
      },
      onError: (error) => this.#logger.warn({ err: error }, 'could not count the jobs that have ended'),
    });
  }

  #count({ tenant, state, answer, error, recomputes }: JobRecord): void {
    this.#tenants.inc({ tenant, outcome: state });
    this.#jobs.inc({ outcome: state, code: error?.code ?? '' });
    this.#recomputes.inc(recomputes);
    if (!answer) return;
    for (const [phase, ms] of Object.entries(answer.timingsMs)) this.#seconds.observe({ phase }, ms / 1000);
    for (const [cache, hit] of Object.entries(answer.cache)) if (hit) this.#cacheHits.inc({ cache });
    this.#segments.inc(answer.segments.length);
  }
}
