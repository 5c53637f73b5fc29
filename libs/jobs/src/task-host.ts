import { SegueError } from '@segue/core';
import { UnrecoverableError, WaitingChildrenError, WaitingError, Worker, type Job as BullJob } from 'bullmq';

import { endedError } from './job-store.js';
import { PREFIX } from './keys.js';
import type { Jobs } from './open-jobs.js';
import { QUEUES, type QueueKey, type TaskData } from './queues.js';
import { hasEnded, type JobRecord } from './record.js';
import type { StageRunReport } from './stage.js';
import { TaskRun } from './task-run.js';

/** A worker that dies is noticed when its lock has expired at the next but one look: 10 s at most. */
export const LOCKS = { lockDuration: 6_000, lockRenewTime: 2_000, stalledInterval: 2_000, maxStalledCount: 3 } as const;

/** How long a run may take to let go after its signal has aborted in a shutdown. */
const LET_GO_MS = 2_000;

/** A task in a worker's hands. */
export interface Task {
  readonly bull: BullJob<TaskData, void>;
  readonly token: string;
  readonly record: JobRecord;
  readonly signal: AbortSignal;
}

export interface TaskHostOptions {
  readonly queue: QueueKey;
  readonly jobs: Jobs;
  readonly concurrency: number;
  /** Reads the record as the work begins. */
  readonly begin: (jobId: string) => Promise<JobRecord | undefined>;
  /** May throw BullMQ's `WaitingChildrenError` after moving the task there. */
  readonly perform: (task: Task) => Promise<void>;
  readonly onReport?: (report: StageRunReport) => void;
}

/** Works on one queue: gives each task its signal, and turns the way it ends into what BullMQ and the job record must hear. */
export class TaskHost {
  private readonly worker: Worker<TaskData, void>;
  private readonly runs = new Map<string, TaskRun>();

  constructor(private readonly options: TaskHostOptions) {
    const { jobs, concurrency, queue } = options;
    this.worker = new Worker<TaskData, void>(QUEUES[queue], (job, token = '') => this.run(job, token), {
      connection: jobs.redis,
      prefix: PREFIX,
      concurrency,
      autorun: false,
      ...LOCKS,
    });
    this.worker.on('error', jobs.onError);
    this.worker.on('stalled', (taskId) => jobs.log.warn({ taskId, queue }, 'taken over from a worker that is gone'));
    this.worker.on('lockRenewalFailed', (taskIds: string[]) => {
      for (const taskId of taskIds)
        this.runs.get(taskId)?.stop('lock_lost', new SegueError('CANCELLED', 'Another worker took the task over.'));
    });
    this.worker.on('failed', (job) => void this.afterDeferredFailure(job));
  }

  /** Tasks in hand. */
  get active(): number {
    return this.runs.size;
  }

  /** Begins to take tasks; resolves when the queue is connected, which it is not before Redis is there. */
  async start(): Promise<void> {
    this.worker
      .run()
      .catch((error: unknown) =>
        this.options.jobs.log.error({ err: error, queue: this.options.queue }, 'queue stopped'),
      );
    await this.worker.waitUntilReady();
  }

  /** Takes no more tasks, gives those in hand time to end, then hands them back to the queue. */
  async close(options: { readonly graceMs: number }): Promise<void> {
    const closed = this.worker.close();
    const grace = setTimeout(() => {
      const reason = new SegueError('UNAVAILABLE', 'The worker is stopping.');
      for (const run of this.runs.values()) run.stop('shutdown', reason);
    }, options.graceMs);
    const limit = sleep(options.graceMs + LET_GO_MS);
    await Promise.race([closed, limit.done]);
    clearTimeout(grace);
    limit.clear();
  }

  private async run(bull: BullJob<TaskData, void>, token: string): Promise<void> {
    const { jobs, begin, perform } = this.options;
    const { jobId } = bull.data;
    const taskId = bull.id ?? '';
    const startedAtMs = Date.now();
    const run = new TaskRun();
    this.runs.set(taskId, run);
    let waitedMs = startedAtMs - bull.timestamp;
    const report = (outcome: StageRunReport['outcome']) =>
      this.options.onReport?.({ outcome, waitedMs: Math.max(0, waitedMs), ranMs: Date.now() - startedAtMs });
    let stopListening: (() => void) | undefined;
    try {
      stopListening = await jobs.signals.listen(jobId, (signal) => void this.onSignal(run, jobId, signal));
      const record = await begin(jobId);
      if (!record || hasEnded(record)) return report('skipped');
      waitedMs = startedAtMs - (this.readySinceMs(record) ?? bull.timestamp);
      run.setDeadline(record.deadlineAtMs);
      run.signal.throwIfAborted();
      await perform({ bull, token, record, signal: run.signal });
      report('done');
    } catch (error) {
      const { outcome, rethrow } = await this.settle(run, bull, token, error);
      report(outcome);
      throw rethrow;
    } finally {
      run.dispose();
      stopListening?.();
      this.runs.delete(taskId);
    }
  }

  /** A parent is ready when its child is done, long after it was added. */
  private readySinceMs(record: JobRecord): number | undefined {
    if (this.options.queue === 'generate') return record.stages.encode.doneAtMs;
    return undefined;
  }

  private async onSignal(run: TaskRun, jobId: string, signal: string): Promise<void> {
    if (signal === 'event') return;
    try {
      const record = await this.options.jobs.store.find(jobId);
      if (!record || hasEnded(record)) run.stop('ended', endedError(record));
    } catch (error) {
      this.options.jobs.log.warn({ err: error, jobId }, 'could not look whether the job has ended');
    }
  }

  /** Decides by cause and code what becomes of a run that did not succeed. */
  private async settle(
    run: TaskRun,
    bull: BullJob<TaskData, void>,
    token: string,
    error: unknown,
  ): Promise<{ outcome: StageRunReport['outcome']; rethrow: unknown }> {
    const { log } = this.options.jobs;
    const { jobId } = bull.data;
    if (error instanceof WaitingChildrenError) return { outcome: 'recomputing', rethrow: error };
    if (run.cause === 'lock_lost') return { outcome: 'ended_elsewhere', rethrow: error };
    if (run.cause === 'ended')
      return { outcome: 'ended_elsewhere', rethrow: new UnrecoverableError('the job has ended') };
    if (run.cause === 'shutdown') {
      await bull.moveToWait(token);
      return { outcome: 'handed_back', rethrow: new WaitingError() };
    }
    const failure = SegueError.from(run.cause === 'deadline' ? run.signal.reason : error);
    const attemptsLeft = (bull.opts.attempts ?? 1) - bull.attemptsMade - 1;
    if (failure.retryable && attemptsLeft > 0) {
      log.warn({ err: failure, jobId, queue: this.options.queue, attemptsLeft }, 'trying again');
      return { outcome: 'retried', rethrow: failure };
    }
    log[failure.code === 'INTERNAL' ? 'error' : 'info'](
      { err: failure, jobId, queue: this.options.queue },
      'job failed',
    );
    await this.failJob(jobId, failure);
    return { outcome: 'failed', rethrow: new UnrecoverableError(failure.message) };
  }

  /** BullMQ fails a task without running it when it has stalled too often, or when a child of it has failed. */
  private async afterDeferredFailure(bull: BullJob<TaskData, void> | undefined): Promise<void> {
    if (!bull?.deferredFailure) return;
    const { jobId } = bull.data;
    const cause = new Error(bull.deferredFailure);
    try {
      await this.failJob(
        jobId,
        new SegueError('UNAVAILABLE', 'The workers could not finish this job. Try again.', { cause }),
      );
    } catch (error) {
      this.options.jobs.log.error({ err: error, jobId }, 'could not note the failure of a job');
    }
  }

  private async failJob(jobId: string, failure: SegueError): Promise<void> {
    const { store, producer } = this.options.jobs;
    if (await store.fail(jobId, failure)) await producer.withdraw(jobId);
  }
}

function sleep(ms: number): { readonly done: Promise<void>; clear(): void } {
  let timer: NodeJS.Timeout | undefined;
  const done = new Promise<void>((resolve) => (timer = setTimeout(resolve, ms)));
  return { done, clear: () => clearTimeout(timer) };
}
