import { setTimeout as sleep } from 'node:timers/promises';
import { SegueError, startPeriodic } from '@segue/core';
import { PREFIX, SCHEMA, type LoadScripts, type RedisConnection } from '@segue/redis';
import { inSpan, pastSpan, SpanKind, SpanStatusCode, type Span } from '@segue/tracing';
import { ErrorCode, UnrecoverableError, WaitingChildrenError, WaitingError, type Job as BullJob } from 'bullmq';
import { DeadLetters } from './dead-letters.js';
import { WORKER_ID } from './heartbeats.js';
import type { JobFlows } from './job-flows.js';
import type { JobSignals } from './job-signals.js';
import { endedError, type Begun, type JobStore } from './job-store.js';
import { Quarantine } from './quarantine.js';
import { QueueWorker } from './queue-worker.js';
import { isOfLaterVersion, parseTaskData, QUEUES, type QueueKey } from './queues.js';
import { hasEnded, type JobRecord } from './record.js';
import { TaskRun } from './task-run.js';

/** A worker that dies is noticed when its lock has expired at the next but one look: 10 s at most. */
const LOCK_MS = 6_000;
const RENEW_EVERY_MS = 2_000;
const LOOK_EVERY_MS = 2_000;

/** Runs of one task that may end with their process; after those it is a dead letter. */
const MAX_DEATHS = 3;

/** How long a run may take to let go after its signal has aborted in a shutdown. */
const LET_GO_MS = 2_000;
/** For so long a hand stays off the queue after a task was put back, so that others come first. */
const PUT_BACK_PAUSE_MS = 500;
/** Pause before a task is tried again; twice as long each time. */
const RETRY_PAUSE_MS = 200;

const TAKEN_OVER = 'the end of a task counts no more: another worker has taken it, or it is gone';

/** What a host works with. */
export interface JobParts {
  readonly redis: RedisConnection;
  readonly store: JobStore;
  readonly flows: JobFlows;
  readonly signals: JobSignals;
  readonly load: LoadScripts;
}

/** A task in a worker's hands. */
export interface Task {
  readonly id: string;
  readonly bull: BullJob<unknown, void>;
  readonly token: string;
  readonly record: JobRecord;
  readonly signal: AbortSignal;
  /** Whether no run of this task has begun before. */
  readonly first: boolean;
  /** Milliseconds since the epoch by Redis' clock, as far as it can be told without asking. */
  redisNowMs(): number;
}

/** The task goes back to the queue, untouched: another worker can do it, or this one later. */
export class PutBack extends Error {}

/** How one run of a task ended, for metrics. */
export interface StageRunReport {
  readonly outcome: 'done' | 'retried' | 'failed' | 'ended_elsewhere' | 'recomputing' | 'handed_back' | 'skipped';
  /** Milliseconds between the task's being ready and its being taken. */
  readonly waitedMs: number;
  readonly ranMs: number;
}

export interface TaskHostOptions {
  readonly queue: QueueKey;
  readonly parts: JobParts;
  readonly concurrency: number;
  /** Reads the record as the work begins, and which runs of the task have died with their process. */
  readonly begin: (jobId: string, taskId: string) => Promise<Begun>;
  /** When the task was ready to be taken, by Redis' clock. */
  readonly readySinceMs: (record: JobRecord, data: unknown) => number;
  /** May throw BullMQ's `WaitingChildrenError` after moving the task there. */
  readonly perform: (task: Task) => Promise<void>;
  readonly onReport?: ((report: StageRunReport) => void) | undefined;
}

type Outcome = StageRunReport['outcome'];
type Died = Pick<Begun, 'deaths' | 'diedIn'>;

/** Works on one queue: gives each task its signal, and turns the way it ends into what BullMQ and the job record must hear. */
export class TaskHost {
  readonly #options: TaskHostOptions;
  readonly #worker: QueueWorker;
  readonly #deadLetters: DeadLetters;
  readonly #quarantine = new Quarantine();
  /** The last run of each task; one that was paused past its lock may still be ending while a new one goes on. */
  readonly #runs = new Map<string, TaskRun>();

  constructor(options: TaskHostOptions) {
    const { redis } = options.parts;
    this.#options = options;
    this.#deadLetters = new DeadLetters(redis);
    this.#worker = new QueueWorker(QUEUES[options.queue], (job, token = '') => this.#traced(job, token), {
      connection: redis.client,
      prefix: PREFIX,
      concurrency: options.concurrency,
      autorun: false,
      lockDuration: LOCK_MS,
      // BullMQ renews by task id, so that the end of an old run would end the renewal of the new one; each run renews its own.
      skipLockRenewal: true,
      stalledInterval: LOOK_EVERY_MS,
      // Stalls also happen to the innocent; the deaths in the job record decide.
      maxStalledCount: 1_000,
      // A task that cannot be ended because Redis is full.
      runRetryDelay: 500,
    });
    this.#worker.on('error', (error) => {
      if (isTakenOver(error)) redis.log.info({ err: error, queue: options.queue }, TAKEN_OVER);
      else redis.onError(error);
    });
    this.#worker.on('stalled', (taskId) =>
      redis.log.warn({ taskId, queue: options.queue }, 'taken over from a worker that is gone'),
    );
    this.#worker.on('failed', (job) => void this.#afterDeferredFailure(job));
  }

  /** Tasks in hand. */
  get active(): number {
    return this.#runs.size;
  }

  /** Begins to take tasks; resolves when the queue is connected, which it is not before Redis is there. */
  async start(): Promise<void> {
    const { parts, queue } = this.#options;
    this.#worker.run().catch((error: unknown) => parts.redis.log.error({ err: error, queue }, 'queue stopped'));
    await this.#worker.waitUntilReady();
  }

  /**
   * Takes no more tasks, gives those in hand time to end, then hands them back to the queue. With nothing in hand it does not wait
   * for a Redis that is away.
   */
  async close(options: { readonly graceMs: number }): Promise<void> {
    const idle = this.#runs.size === 0 && this.#options.parts.redis.client.status !== 'ready';
    const closed = this.#worker.close(idle);
    const grace = setTimeout(() => {
      const reason = new SegueError('UNAVAILABLE', 'The worker is stopping.');
      for (const run of this.#runs.values()) run.stop('shutdown', reason);
    }, options.graceMs);
    const limit = timeout(idle ? LET_GO_MS : options.graceMs + LET_GO_MS);
    await Promise.race([closed, limit.done]);
    clearTimeout(grace);
    limit.clear();
  }

  #traced(bull: BullJob<unknown, void>, token: string): Promise<void> {
    const { queue } = this.#options;
    const data = parseTaskData(bull.data);
    const attributes = { 'segue.job_id': data?.jobId, 'segue.task_id': bull.id };
    const options = { kind: SpanKind.CONSUMER, attributes, from: data?.trace ?? {} };
    return inSpan(queue, options, (span) => this.#run(bull, data, token, span));
  }

  async #run(
    bull: BullJob<unknown, void>,
    data: ReturnType<typeof parseTaskData>,
    token: string,
    span: Span,
  ): Promise<void> {
    const { parts, onReport, queue } = this.#options;
    const taskId = bull.id ?? '';
    const { jobId, trace } = data ?? {};
    if (isOfLaterVersion(bull.data)) throw await this.#leaveToOthers(bull, token);
    if (jobId === undefined) {
      await this.#bury(bull, taskId, 'its data is not that of a task');
      throw new UnrecoverableError('not a task');
    }
    const startedAt = performance.now();
    const run = new TaskRun();
    this.#runs.get(taskId)?.stop('lock_lost', new SegueError('CANCELLED', 'The task was taken again.'));
    this.#runs.set(taskId, run);
    const renewal = this.#renew(run, bull, token);
    let waitedMs = 0;
    const report = (outcome: Outcome): void => {
      span.setAttribute('segue.outcome', outcome);
      // Neither is a failure, though both leave by an exception.
      if (outcome === 'recomputing' || outcome === 'handed_back') span.setStatus({ code: SpanStatusCode.OK });
      onReport?.({ outcome, waitedMs: Math.max(0, waitedMs), ranMs: performance.now() - startedAt });
    };
    let leave: (() => void) | undefined;
    let stopListening: (() => void) | undefined;
    try {
      stopListening = await parts.signals.listen(jobId, (signal) => void this.#onSignal(run, jobId, signal));
      leave = await this.#quarantine.enter(bull.stalledCounter > 0);
      run.signal.throwIfAborted();
      const readAt = performance.now();
      const { record, ...died } = await this.#options.begin(jobId, taskId);
      if (!record || hasEnded(record)) return report('skipped');
      if (record.schema > SCHEMA) throw new PutBack();
      waitedMs = record.readAtMs - this.#options.readySinceMs(record, bull.data);
      pastSpan(`wait for ${queue}`, trace, Math.max(0, waitedMs));
      if (died.deaths >= MAX_DEATHS) throw await this.#poison(bull, taskId, jobId, died);
      run.setDeadline(record.deadlineAtMs - record.readAtMs);
      run.signal.throwIfAborted();
      await this.#options.perform({
        id: taskId,
        bull,
        token,
        record,
        signal: run.signal,
        first: bull.attemptsStarted === 1,
        redisNowMs: () => record.readAtMs + performance.now() - readAt,
      });
      report('done');
    } catch (error) {
      const { outcome, rethrow } = await this.#settle(run, bull, token, jobId, error);
      report(outcome);
      if (error instanceof PutBack) await sleep(PUT_BACK_PAUSE_MS);
      throw rethrow;
    } finally {
      await renewal.stop();
      run.dispose();
      leave?.();
      stopListening?.();
      if (this.#runs.get(taskId) === run) this.#runs.delete(taskId);
    }
  }

  /** Keeps the lock of one run; a run that has lost it stops. */
  #renew(run: TaskRun, bull: BullJob<unknown, void>, token: string) {
    const { log } = this.#options.parts.redis;
    return startPeriodic({
      everyMs: RENEW_EVERY_MS,
      run: async () => {
        if (!(await bull.extendLock(token, LOCK_MS)))
          run.stop('lock_lost', new SegueError('CANCELLED', 'Another worker took the task over.'));
      },
      onError: (error) => log.warn({ err: error, taskId: bull.id }, 'could not renew the lock of a task'),
    });
  }

  async #onSignal(run: TaskRun, jobId: string, signal: string): Promise<void> {
    if (signal === 'event') return;
    const { store, redis } = this.#options.parts;
    try {
      const record = await store.find(jobId);
      if (!record || hasEnded(record)) run.stop('ended', endedError(record));
    } catch (error) {
      redis.log.warn({ err: error, jobId }, 'could not look whether the job has ended');
    }
  }

  /** Decides by cause and code what becomes of a run that did not succeed. */
  async #settle(
    run: TaskRun,
    bull: BullJob<unknown, void>,
    token: string,
    jobId: string,
    error: unknown,
  ): Promise<{ outcome: Outcome; rethrow: unknown }> {
    const { parts, queue } = this.#options;
    const { log } = parts.redis;
    // An answer that was begun anew is gone on with by whoever has the lock: another run, or the next one of this task.
    const superseded = isSuperseded(error);
    if (run.cause === 'lock_lost' || (superseded && !(await bull.extendLock(token, LOCK_MS))))
      return { outcome: 'ended_elsewhere', rethrow: error };
    await parts.store.scripts.letGo(jobId, bull.id ?? '');
    if (error instanceof WaitingChildrenError) return { outcome: 'recomputing', rethrow: error };
    if (run.cause === 'ended')
      return { outcome: 'ended_elsewhere', rethrow: new UnrecoverableError('the job has ended') };
    const putBack = error instanceof PutBack || superseded;
    if (run.cause === 'shutdown' || (putBack && !run.cause)) return this.#handBack(bull, token);
    const failure = SegueError.from(run.cause === 'deadline' ? run.signal.reason : error);
    const attemptsLeft = (bull.opts.attempts ?? 1) - bull.attemptsMade - 1;
    if (failure.retryable && attemptsLeft > 0) {
      log.warn({ err: failure, jobId, queue, attemptsLeft }, 'trying again');
      await pause(RETRY_PAUSE_MS * 2 ** bull.attemptsMade, run.signal);
      return { outcome: 'retried', rethrow: failure };
    }
    log[failure.code === 'INTERNAL' ? 'error' : 'info']({ err: failure, jobId, queue }, 'job failed');
    await this.#failJob(jobId, failure);
    return { outcome: 'failed', rethrow: new UnrecoverableError(failure.message) };
  }

  async #handBack(bull: BullJob<unknown, void>, token: string): Promise<{ outcome: Outcome; rethrow: unknown }> {
    const { ask, client } = this.#options.parts.redis;
    await ask(() => bull.moveToWait(token));
    // BullMQ wakes nobody for a task that comes back.
    await ask(() => client.zadd(`${bull.queueQualifiedName}:marker`, 0, '0'));
    return { outcome: 'handed_back', rethrow: new WaitingError() };
  }

  /** What a later version has written, during an update. */
  async #leaveToOthers(bull: BullJob<unknown, void>, token: string): Promise<unknown> {
    const { rethrow } = await this.#handBack(bull, token);
    await sleep(PUT_BACK_PAUSE_MS);
    return rethrow;
  }

  /** BullMQ fails a task without running it when a child of it has failed. */
  async #afterDeferredFailure(bull: BullJob<unknown, void> | undefined): Promise<void> {
    const jobId = bull?.deferredFailure && readJobId(bull.data);
    if (!jobId) return;
    const cause = new Error(bull.deferredFailure);
    const failure = new SegueError('UNAVAILABLE', 'The workers could not finish this job. Try again.', { cause });
    await this.#failJob(jobId, failure).catch((error: unknown) =>
      this.#options.parts.redis.log.error({ err: error, jobId }, 'could not note the failure of a job'),
    );
  }

  async #failJob(jobId: string, failure: SegueError): Promise<void> {
    const { store, flows } = this.#options.parts;
    if (await store.fail(jobId, failure)) await flows.withdraw(jobId);
  }

  async #poison(bull: BullJob<unknown, void>, taskId: string, jobId: string, died: Died): Promise<SegueError> {
    await this.#bury(bull, taskId, 'the process ended in each of its runs', died);
    const { deaths } = died;
    return new SegueError(
      'INTERNAL',
      `This request ended the worker in each of ${deaths} runs, so it is not tried again. Report the job id.`,
      { details: { jobId, deaths } },
    );
  }

  async #bury(
    bull: BullJob<unknown, void>,
    taskId: string,
    reason: string,
    died: Died = { deaths: 0, diedIn: [] },
  ): Promise<void> {
    const { queue, parts } = this.#options;
    const jobId = readJobId(bull.data) ?? '';
    parts.redis.log.error({ queue, taskId, jobId, reason, ...died }, 'dead letter');
    await this.#deadLetters.add({ jobId, queue, taskId, reason, ...died, worker: WORKER_ID, atMs: Date.now() });
  }
}

function readJobId(data: unknown): string | undefined {
  return parseTaskData(data)?.jobId;
}

/** BullMQ's answer to who tells the end of a task whose lock he has lost. */
function isTakenOver(error: Error): boolean {
  const { code } = error as { readonly code?: unknown };
  return code === ErrorCode.JobNotExist || code === ErrorCode.JobLockNotExist || code === ErrorCode.JobLockMismatch;
}

function isSuperseded(error: unknown): boolean {
  return error instanceof SegueError && error.reason === 'SUPERSEDED';
}

/** Ends early when the signal aborts: what comes next looks at the signal itself. */
async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await sleep(ms, undefined, { signal }).catch(() => undefined);
}

function timeout(ms: number): { readonly done: Promise<void>; clear(): void } {
  let timer: NodeJS.Timeout | undefined;
  const done = new Promise<void>((resolve) => (timer = setTimeout(resolve, ms)));
  return { done, clear: () => clearTimeout(timer) };
}
