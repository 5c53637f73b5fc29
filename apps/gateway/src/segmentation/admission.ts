import { SegueError, STAGES, type Priority, type Stage } from '@segue/core';
import type { Jobs, Outlook } from '@segue/jobs';

/** How old a look at the workers may be: one look serves all requests of that time. */
const LOOK_MAX_AGE_MS = 500;
/** How old an outlook may be by which requests are refused: in a flood one question to Redis serves all who come too late. */
const REFUSE_BY_MS = 100;
/**
 * Share of its time that a request may be expected to take. An estimate at the limit is wrong for half of those who come, the more
 * so as those who come take processors from the work.
 */
const EXPECTED_SHARE = 0.8;
const RETRY_NO_WORKER_MS = 3_000;
const RETRY_STARTING_MS = 5_000;
const RETRY_FULL_MS = 60_000;
/** Share of Redis' memory beyond which no job is taken: those that are there need the rest to go on and end. */
const MOST_MEMORY = 0.85;

interface Look {
  /** Tasks that the workers that are heard of take at a time. */
  readonly slots: Readonly<Record<Stage, number>>;
  readonly memoryUse: number;
}

export interface AdmissionOptions {
  /** Stages that need no worker to be admitted to, because one is started when there is work. */
  readonly scalableStages: readonly Stage[];
  /** Tasks that may wait in any one queue while such a stage has no worker. */
  readonly maxStartingDepth: number;
}

/** A request that wants in. */
export interface Applicant {
  readonly tenant: string;
  readonly priority: Priority;
  /** How long it may take in all. */
  readonly timeoutMs: number;
  /** How much of that it may wait before its work begins. */
  readonly maxWaitMs: number;
}

/** Refuses work that would only wait for its deadline, and work that nobody is there for. */
export class Admission {
  readonly #jobs: Jobs;
  readonly #options: AdmissionOptions;
  #look: Promise<Look> | undefined;
  #lookedAtMs = 0;
  /** Requests that were let in and whose jobs are not in the queues yet. */
  #entering = 0;
  /** Outlooks by which somebody was refused, by tenant and priority. */
  readonly #refusedBy = new Map<string, { readonly outlook: Outlook; readonly atMs: number }>();

  constructor(jobs: Jobs, options: AdmissionOptions) {
    this.#jobs = jobs;
    this.#options = options;
  }

  /**
   * Makes the job of a request that is let in.
   * @param makeJob gets the stages whose workers are yet to be started, for which the job will wait.
   * @throws SegueError RESOURCE_EXHAUSTED or UNAVAILABLE, saying when to try again.
   */
  async admit<T>(applicant: Applicant, makeJob: (starting: readonly Stage[]) => Promise<T>): Promise<T> {
    // Counted from here on, so that many who come at once see each other.
    const before = this.#entering++;
    try {
      const { slots, memoryUse } = await this.#recentLook();
      const idle = STAGES.filter((stage) => slots[stage] === 0);
      this.#refuseIdle(idle);
      if (memoryUse > MOST_MEMORY) {
        throw new SegueError(
          'RESOURCE_EXHAUSTED',
          'As many jobs are kept as there is room for. Try again in a minute.',
          {
            retryAfterMs: RETRY_FULL_MS,
          },
        );
      }
      await this.#judge(applicant, (outlook) => {
        if (idle.length > 0) this.#refuseCrowd(outlook, before);
        else refuseLate(expectation(outlook, slots, before), applicant);
      });
      return await makeJob(idle);
    } finally {
      this.#entering--;
    }
  }

  /** Looks at what is before the applicant; `refuse` throws. */
  async #judge({ tenant, priority }: Applicant, refuse: (outlook: Outlook) => void): Promise<void> {
    const who = `${tenant}/${priority}`;
    const recent = this.#refusedBy.get(who);
    if (recent && performance.now() - recent.atMs < REFUSE_BY_MS) refuse(recent.outlook);
    const outlook = await this.#jobs.outlook(tenant, priority);
    try {
      refuse(outlook);
    } catch (refusal) {
      this.#refusedBy.set(who, { outlook, atMs: performance.now() });
      throw refusal;
    }
    this.#refusedBy.delete(who);
  }

  /** Nobody is there, and nobody will be started. */
  #refuseIdle(idle: readonly Stage[]): void {
    if (idle.every((stage) => this.#options.scalableStages.includes(stage))) return;
    throw new SegueError(
      'UNAVAILABLE',
      `No worker for ${idle.map((stage) => `"${stage}"`).join(' and ')} is running at the moment. Try again in a few seconds.`,
      { retryAfterMs: RETRY_NO_WORKER_MS, details: { stages: idle } },
    );
  }

  /** Nobody knows how long a worker takes to start: only so many wait for it. */
  #refuseCrowd({ ahead }: Outlook, entering: number): void {
    if (Math.max(...STAGES.map((stage) => ahead[stage])) + entering < this.#options.maxStartingDepth) return;
    throw new SegueError(
      'RESOURCE_EXHAUSTED',
      'Too many requests wait for the first worker. Try again in a few seconds.',
      {
        retryAfterMs: RETRY_STARTING_MS,
      },
    );
  }

  /** Shared by all who ask meanwhile, a failure too: requests do not queue up for a Redis that is away. */
  #recentLook(): Promise<Look> {
    const nowMs = Date.now();
    if (!this.#look || nowMs - this.#lookedAtMs >= LOOK_MAX_AGE_MS) {
      this.#lookedAtMs = nowMs;
      this.#look = this.#lookNow();
    }
    return this.#look;
  }

  async #lookNow(): Promise<Look> {
    const [memoryUse, ...workers] = await Promise.all([
      this.#jobs.memoryUse(),
      ...STAGES.map((stage) => this.#jobs.workers(stage)),
    ]);
    const [encode = 0, generate = 0, decode = 0] = workers.map((some) =>
      some.reduce((sum, { concurrency }) => sum + concurrency, 0),
    );
    return { memoryUse, slots: { encode, generate, decode } };
  }
}

/** How long a further job would wait, and then take, in milliseconds. */
export interface Expectation {
  readonly waitMs: number;
  readonly workMs: number;
}

/**
 * It waits for the slowest stage to get through what is before it; a job that waits for one stage, or is in work there, has
 * those after it before it.
 */
export function expectation({ ahead, active, paceMs }: Outlook, slots: Look['slots'], entering: number): Expectation {
  let jobs = entering;
  let waitMs = 0;
  for (const stage of STAGES) {
    jobs += ahead[stage] + active[stage];
    waitMs = Math.max(waitMs, (jobs * paceMs[stage]) / slots[stage]);
  }
  return { waitMs, workMs: STAGES.reduce((sum, stage) => sum + paceMs[stage], 0) };
}

/** Wait and work must fit; one that allows less than the work usually takes may be lucky where little waits. */
function refuseLate({ waitMs, workMs }: Expectation, { timeoutMs, maxWaitMs }: Applicant): void {
  const inTimeMs = Math.max(timeoutMs / 5, EXPECTED_SHARE * timeoutMs - workMs);
  const longestWaitMs = Math.min(inTimeMs, maxWaitMs);
  if (waitMs <= longestWaitMs) return;
  const seconds = (ms: number): string => `${Math.ceil(ms / 1000)} s`;
  const expected = `An answer would take about ${seconds(waitMs + workMs)} at the moment`;
  throw new SegueError(
    'RESOURCE_EXHAUSTED',
    maxWaitMs < inTimeMs
      ? `${expected}, ${seconds(waitMs)} of it before work begins, and nobody is let in who would wait longer than ${maxWaitMs} ms. ` +
          'Try again later, or submit a job, which may wait.'
      : `${expected}, and this request allows ${seconds(timeoutMs)}. Try again later, or submit a job that has more time.`,
    { retryAfterMs: Math.max(1_000, waitMs - longestWaitMs), details: { expectedMs: Math.round(waitMs + workMs) } },
  );
}
