import { STAGES, type JobEvent, type Periodic, type Priority, type Segment, type Stage } from '@segue/core';
import { KEYS, LoadScripts, redisMemory, UsageScripts, type RedisConnection } from '@segue/redis';
import { inSpan, SpanKind } from '@segue/tracing';
import { answerStage, type AnswerStageOptions } from './answer-stage.js';
import { DeadLetters } from './dead-letters.js';
import { EventLog, type ReadOptions } from './event-log.js';
import { liveWorkers, type WorkerInfo } from './heartbeats.js';
import { JobFlows, type QueueDepth } from './job-flows.js';
import { JobList, type JobPage, type ListOptions } from './job-list.js';
import { JobSignals } from './job-signals.js';
import { jobNotFound, JobStore } from './job-store.js';
import { startSweeper, type JobSweeperOptions } from './job-sweeper.js';
import type { QueueKey } from './queues.js';
import type { JobRecord, NewJob } from './record.js';
import { StageHost, type StageHostOptions } from './stage-host.js';
import { stageLoads, type SeedRates, type StageLoad } from './stage-load.js';
import type { JobParts, TaskHost } from './task-host.js';

export interface JobsOptions {
  /** How long an ended job is kept. */
  readonly jobKeepMs: number;
}

/** What a job that is not there yet would find before it. */
export interface Outlook {
  /** Tasks that would be taken earlier. */
  readonly ahead: Readonly<Record<Stage, number>>;
  /** Tasks in work. */
  readonly active: Readonly<Record<Stage, number>>;
  /** What one job has taken of each stage of late, in milliseconds; 0 where nothing is known. */
  readonly paceMs: Readonly<Record<Stage, number>>;
}

/** Jobs, over a connection to Redis that the caller closes after them. */
export class Jobs {
  readonly deadLetters: DeadLetters;
  readonly usage: UsageScripts;
  readonly #parts: JobParts;
  readonly #log: EventLog;
  readonly #list: JobList;

  constructor(redis: RedisConnection, { jobKeepMs }: JobsOptions) {
    const store = new JobStore(redis, jobKeepMs);
    const signals = new JobSignals(redis);
    this.#parts = { redis, store, signals, flows: new JobFlows(redis), load: new LoadScripts(redis) };
    this.#list = new JobList(redis, store);
    this.#log = new EventLog(store.scripts, signals);
    this.deadLetters = new DeadLetters(redis);
    this.usage = new UsageScripts(redis);
  }

  /**
   * Makes a job and starts it.
   * @throws SegueError ALREADY_EXISTS for an idempotency key that was used with another request, RESOURCE_EXHAUSTED where too
   * many jobs are open, UNAVAILABLE without Redis.
   */
  submit(job: NewJob): Promise<{ readonly jobId: string; readonly created: boolean }> {
    const { store, flows, redis } = this.#parts;
    return inSpan('submit', { kind: SpanKind.PRODUCER }, async (span) => {
      const { jobId, created, place } = await store.create(job);
      span.setAttribute('segue.job_id', jobId);
      if (created) {
        await flows.start(jobId, place);
        await redis.ask(() => redis.client.zrem(KEYS.unsent, jobId));
      }
      return { jobId, created };
    });
  }

  /** Whether a job was accepted under this idempotency key that a retry finds; one that may be tried anew does not count. */
  isAccepted(idempotencyKey: string, tenant?: string): Promise<boolean> {
    return this.#parts.store.isAccepted(idempotencyKey, tenant);
  }

  /**
   * Makes a new job of one that became a dead letter, which is struck off.
   * @returns the new job's id. @throws SegueError NOT_FOUND when there is no such letter, or the job is not kept any more.
   */
  async replay(jobId: string): Promise<string> {
    await this.deadLetters.of(jobId);
    const { request, tenant, createdAtMs, deadlineAtMs } = await this.get(jobId);
    const replayed = await this.submit({ request, tenant, timeoutMs: deadlineAtMs - createdAtMs });
    await this.deadLetters.drop(jobId);
    return replayed.jobId;
  }

  /**
   * Cancels a job: its record ends, workers let go of it, waiting tasks leave their queues.
   * @param tenant who asks; anybody unless given.
   * @throws SegueError NOT_FOUND, also for another tenant's.
   */
  async cancel(jobId: string, tenant?: string): Promise<JobRecord> {
    const { store, flows } = this.#parts;
    await this.get(jobId, tenant);
    if (await store.cancel(jobId)) await flows.withdraw(jobId);
    return store.get(jobId);
  }

  /**
   * @param tenant who asks; anybody unless given.
   * @throws SegueError NOT_FOUND, also for another tenant's.
   */
  async get(jobId: string, tenant?: string): Promise<JobRecord> {
    const record = await this.#parts.store.get(jobId);
    if (tenant !== undefined && record.tenant !== tenant) throw jobNotFound();
    return record;
  }

  /** A tenant's jobs, the newest first. @throws SegueError INVALID_ARGUMENT for a page that no list has given out. */
  list(options: ListOptions): Promise<JobPage> {
    return this.#list.read(options);
  }

  /** One segment, as soon as it is there. */
  segment(jobId: string, index: number): Promise<Segment | undefined> {
    return this.#parts.store.segment(jobId, index);
  }

  /**
   * The job's events from any point, following until its last one.
   * @throws SegueError NOT_FOUND, or INVALID_ARGUMENT for something that is no event id.
   */
  events(jobId: string, options?: ReadOptions): AsyncGenerator<JobEvent, void, undefined> {
    return this.#log.read(jobId, options);
  }

  /** Takes jobs that have ended, each given out once, to whoever counts it. */
  takeEnded(atMost: number): Promise<JobRecord[]> {
    return this.#parts.store.takeEnded(atMost);
  }

  /** Tasks that are not done, by queue. */
  depth(): Promise<Record<QueueKey, QueueDepth>> {
    return this.#parts.flows.depth();
  }

  /** BullMQ's own view of the queues. */
  get queues(): JobFlows['queues'] {
    return this.#parts.flows.queues;
  }

  /** Holds a stage: workers finish what they have and take nothing more until it is resumed. */
  pause(stage: Stage): Promise<void> {
    return this.#parts.flows.pause(stage);
  }

  resume(stage: Stage): Promise<void> {
    return this.#parts.flows.resume(stage);
  }

  /** Counts requests that have come, whether they were admitted or not: they are what workers are wanted for. */
  countArrivals(requests: number): Promise<void> {
    return this.#parts.load.arrive(requests);
  }

  /** How much every stage has to do; the same whoever asks. @param seeds stand in until the workers have been measured. */
  async loads(seeds: SeedRates): Promise<Record<Stage, StageLoad>> {
    const workers = Promise.all(STAGES.map((stage) => this.workers(stage)));
    const [depth, demand, live] = await Promise.all([this.depth(), this.#parts.load.demand(), workers]);
    return stageLoads(depth, demand, live.flat(), seeds);
  }

  /** What a further job of the tenant would find before it. */
  async outlook(tenant: string, priority: Priority): Promise<Outlook> {
    const { flows, store } = this.#parts;
    const { ahead, active, paceMs } = await store.scripts.outlook(tenant, priority, flows.taskKeys);
    const byStage = (of: (stage: Stage, index: number) => number | undefined) =>
      Object.fromEntries(STAGES.map((stage, index) => [stage, of(stage, index) ?? 0])) as Record<Stage, number>;
    return {
      ahead: byStage((_, index) => ahead[index]),
      active: byStage((_, index) => active[index]),
      paceMs: byStage((stage) => paceMs[stage]),
    };
  }

  /** Share of its memory that the Redis with the jobs uses; 0 where it has no limit. */
  async memoryUse(): Promise<number> {
    const { usedBytes, limitBytes } = await redisMemory(this.#parts.redis);
    return usedBytes / limitBytes;
  }

  /** Workers of a stage that were heard of within the last seconds: not those that are gone, frozen or cut off. */
  workers(stage: Stage): Promise<WorkerInfo[]> {
    return liveWorkers(this.#parts.store.scripts, stage);
  }

  /** Works on one stage's queue, once it is started. */
  stageHost<S extends Stage>(options: StageHostOptions<S>): StageHost<S> {
    return new StageHost(this.#parts, options);
  }

  /** Puts answers together, once it is started. */
  answerStage(options: AnswerStageOptions): TaskHost {
    return answerStage(this.#parts, options);
  }

  /** Ends late jobs and starts forgotten ones, until it is stopped. */
  startSweeper(options?: JobSweeperOptions): Periodic {
    return startSweeper(this.#parts, options);
  }

  async close(): Promise<void> {
    await this.#parts.flows.close();
  }
}
