import { SegueError, type Stage } from '@segue/core';
import { WaitingChildrenError } from 'bullmq';

import type { Jobs } from './open-jobs.js';
import type { DecodeTaskData } from './queues.js';
import { digestOf, type JobRecord, type TensorSetRef } from './record.js';
import type { StageContexts, StageProcessor, StageResults, StageRunReport } from './stage.js';
import { TaskHost, type Task } from './task-host.js';

/** How often one task may lose its tensors before its job fails. */
const MAX_RECOMPUTES = 3;

export interface StageHostOptions<S extends Stage> {
  readonly stage: S;
  readonly jobs: Jobs;
  /** Tasks at the same time. */
  readonly concurrency: number;
  readonly process: StageProcessor<S>;
  /** Hears of every run, for metrics. */
  readonly onReport?: (report: StageRunReport) => void;
}

/** What differs between the stages: their context and where their result goes. */
interface StageBinding<S extends Stage> {
  context(task: Task, record: JobRecord, jobs: Jobs): StageContexts[S];
  save(jobs: Jobs, jobId: string, result: StageResults[S], ranMs: number): Promise<void>;
}

const BINDINGS: { readonly [S in Stage]: StageBinding<S> } = {
  encode: {
    context: baseContext,
    save: (jobs, jobId, encoded) => jobs.store.endEncode(jobId, encoded),
  },
  generate: {
    context: (task, record, { store, producer }) => ({
      ...baseContext(task, record),
      encoded: encodedOf(record),
      writeText: (piece) => store.appendText(record.jobId, piece),
      async addDecode(prompt) {
        task.signal.throwIfAborted();
        if (await store.hasSegment(record.jobId, prompt.index)) return;
        await producer.addDecode(record.jobId, record.request, { ...prompt, digest: digestOf(encodedOf(record)) });
      },
    }),
    save: (jobs, jobId, generated) => jobs.store.endGenerate(jobId, generated),
  },
  decode: {
    context: (task, record) => {
      const { digest, index, phrase, span, embedding } = task.bull.data as DecodeTaskData;
      const encoded = encodedOf(record);
      if (digestOf(encoded) !== digest) {
        throw new SegueError('UNAVAILABLE', 'The model was updated while this job ran. Ask again.');
      }
      return {
        ...baseContext(task, record),
        encoded,
        prompt: { index, phrase, span, embedding: toFloats(embedding) },
      };
    },
    save: (jobs, jobId, segment, ranMs) => jobs.store.addSegment(jobId, segment, ranMs),
  },
};

/** Works on one stage's queue: the worker apps bring the processor, everything about jobs is here. */
export class StageHost<S extends Stage> {
  private readonly host: TaskHost;
  private readonly binding: StageBinding<S>;

  constructor(private readonly options: StageHostOptions<S>) {
    const { stage, jobs, concurrency, onReport } = options;
    this.binding = BINDINGS[stage];
    this.host = new TaskHost({
      queue: stage,
      jobs,
      concurrency,
      begin: (jobId) => jobs.store.beginStage(jobId, stage),
      perform: (task) => this.perform(task),
      ...(onReport && { onReport }),
    });
  }

  /** Tasks in hand. */
  get active(): number {
    return this.host.active;
  }

  /** Begins to take tasks; resolves when the queue is connected. */
  start(): Promise<void> {
    return this.host.start();
  }

  /** Drains: takes no more tasks, waits for those in hand, and after `graceMs` hands them back to other workers. */
  close(options: { readonly graceMs: number }): Promise<void> {
    return this.host.close(options);
  }

  private async perform(task: Task): Promise<void> {
    const { jobs, process } = this.options;
    const { jobId } = task.record;
    let record = task.record;
    for (;;) {
      const startedAtMs = performance.now();
      try {
        const result = await process(this.binding.context(task, record, jobs));
        return await this.binding.save(jobs, jobId, result, performance.now() - startedAtMs);
      } catch (error) {
        if (task.signal.aborted || !isTensorGone(error)) throw error;
        await this.encodeAgain(task, error);
        record = await jobs.store.get(jobId);
      }
    }
  }

  /** Puts an encode task before this one. Returns only when that is done already; otherwise this task waits for it in Redis. */
  private async encodeAgain(task: Task, cause: SegueError): Promise<void> {
    const { jobs, stage } = this.options;
    const { bull, record, token } = task;
    const taskId = bull.id ?? '';
    const times = await jobs.store.countRecompute(record.jobId, `${stage}-${taskId}`);
    if (times > MAX_RECOMPUTES) {
      throw new SegueError('UNAVAILABLE', 'The workers lost the encoded picture again and again. Try again later.', {
        cause,
      });
    }
    jobs.log.info({ jobId: record.jobId, stage, times }, 'tensors are gone; encoding the picture again');
    const parent = { id: taskId, queue: bull.queueQualifiedName };
    await jobs.producer.addEncode(record.jobId, record.request, `${taskId}-${stage}-${times}`, parent);
    if (await bull.moveToWaitingChildren(token)) throw new WaitingChildrenError();
  }
}

function baseContext(task: Task, record: JobRecord): StageContexts['encode'] {
  const { jobId, request, deadlineAtMs } = record;
  return { jobId, request, deadlineAtMs, attempt: task.bull.attemptsStarted, signal: task.signal };
}

function encodedOf(record: JobRecord): TensorSetRef {
  if (!record.encoded) throw new Error(`job ${record.jobId} was given on before it was encoded`);
  return record.encoded;
}

function isTensorGone(error: unknown): error is SegueError {
  return error instanceof SegueError && error.reason === 'TENSOR_GONE';
}

/** Copies, because the bytes need not lie on a multiple of four. */
function toFloats(base64: string): Float32Array {
  const bytes = Uint8Array.from(Buffer.from(base64, 'base64'));
  return new Float32Array(bytes.buffer);
}
