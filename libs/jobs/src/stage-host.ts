import { SegueError, type Periodic, type Stage } from '@segue/core';
import { digestOf, type StageContexts, type StageProcessor, type StageResults, type TensorSetRef } from '@segue/stages';
import { WaitingChildrenError } from 'bullmq';
import { AnswerJournal, superseded } from './answer-journal.js';
import { newWorkerId, startHeartbeat } from './heartbeats.js';
import { Placement, type Fate, type ServedBundle } from './placement.js';
import { parseDecodeTask } from './queues.js';
import type { JobRecord } from './record.js';
import { PutBack, TaskHost, type JobParts, type StageRunReport, type Task } from './task-host.js';
import { WorkMeter } from './work-meter.js';

/** How often one task may lose its tensors before its job fails. */
const MAX_RECOMPUTES = 3;

export interface StageHostOptions<S extends Stage> {
  readonly stage: S;
  /** Tasks at the same time. */
  readonly concurrency: number;
  readonly process: StageProcessor<S>;
  /** What this worker serves; tasks that need another bundle go elsewhere. Unless given, it serves whatever is asked for. */
  readonly bundle?: ServedBundle;
  /** What the graphs run on, for the list of workers. */
  readonly device?: string;
  /** Hears of every run, for metrics. */
  readonly onReport?: (report: StageRunReport) => void;
}

/** A run of a stage on a task: what the stage sees, and where its result goes. */
interface StageRun<S extends Stage> {
  /** Of the answer that it is part of; where that was begun anew since, there is nothing to do any more. */
  readonly epoch?: number;
  /** Digest of the bundle that it goes on with; of any where there is none. */
  readonly digest?: string;
  /** The picture was encoded by another bundle since the words were written. */
  readonly split?: boolean;
  readonly context: StageContexts[S];
  save(result: StageResults[S], ranMs: number): Promise<void>;
}

type Binding<S extends Stage> = (task: Task, record: JobRecord, parts: JobParts) => StageRun<S>;

const BINDINGS: { readonly [S in Stage]: Binding<S> } = {
  encode: (task, record, { store }) => ({
    context: baseContext(task, record),
    save: (encoded) => store.endEncode(record.jobId, encoded, task.id),
  }),
  generate: (task, record, { store, flows }) => {
    const { jobId, place } = record;
    const encoded = encodedOf(record);
    const journal = new AnswerJournal({
      store,
      jobId,
      epoch: record.epoch,
      async addDecode(prompt, epoch) {
        task.signal.throwIfAborted();
        if (!task.first && (await store.hasSegment(jobId, prompt.index))) return;
        const origin = { digest: digestOf(encoded), epoch, addedAtMs: Math.round(task.redisNowMs()) };
        await flows.addDecode(jobId, place, prompt, origin);
      },
    });
    return {
      digest: digestOf(encoded),
      context: {
        ...baseContext(task, record),
        encoded,
        writeText: (piece) => journal.writeText(piece),
        addDecode: (prompt) => journal.addDecode(prompt),
      },
      async save(generated) {
        if (!task.first) await journal.end();
        if (!(await store.endGenerate(jobId, generated, journal.epoch, task.id))) throw superseded();
      },
    };
  },
  decode: (task, record, { store }) => {
    const { prompt, digest, epoch } = parseDecodeTask(task.bull.data);
    const encoded = encodedOf(record);
    return {
      epoch,
      digest,
      split: digestOf(encoded) !== digest,
      context: { ...baseContext(task, record), encoded, prompt },
      save: (segment, ranMs) => store.addSegment(record.jobId, segment, ranMs, epoch, task.id),
    };
  },
};

/** When a task of each stage was ready to be taken, by Redis' clock. */
const READY_SINCE: { readonly [S in Stage]: (record: JobRecord, data: unknown) => number } = {
  encode: (record) => record.createdAtMs,
  generate: (record) => record.stages.encode.doneAtMs ?? record.readAtMs,
  decode: (_record, data) => parseDecodeTask(data).addedAtMs,
};

/** Works on one stage's queue: the worker apps bring the processor, everything about jobs is here. */
export class StageHost<S extends Stage> {
  readonly #options: StageHostOptions<S>;
  readonly #parts: JobParts;
  readonly #host: TaskHost;
  readonly #meter: WorkMeter;
  readonly #placement: Placement | undefined;
  #heartbeat: Periodic | undefined;

  constructor(parts: JobParts, options: StageHostOptions<S>) {
    const { stage, concurrency, bundle, onReport } = options;
    this.#options = options;
    this.#parts = parts;
    this.#meter = new WorkMeter(concurrency);
    this.#placement = bundle && new Placement(stage, bundle, parts.store.scripts);
    this.#host = new TaskHost({
      queue: stage,
      parts,
      concurrency,
      begin: (jobId, taskId) => parts.store.begin(jobId, stage, taskId),
      readySinceMs: READY_SINCE[stage],
      perform: (task) => this.#measured(task),
      onReport,
    });
  }

  /** Tasks in hand. */
  get active(): number {
    return this.#host.active;
  }

  /** Begins to take tasks; resolves when the queue is connected. */
  async start(): Promise<void> {
    const { stage, concurrency, bundle, device } = this.#options;
    const { id: model = '', digest } = bundle ?? {};
    const said = { id: newWorkerId(), stage, model, concurrency, ...(digest && { digest }), ...(device && { device }) };
    const { redis, store, load } = this.#parts;
    await this.#host.start();
    this.#heartbeat = startHeartbeat(redis, { scripts: store.scripts, load, meter: this.#meter }, () => {
      return { ...said, active: this.active };
    });
  }

  /** Drains: takes no more tasks, waits for those in hand, and after `graceMs` hands them back to other workers. */
  async close(options: { readonly graceMs: number }): Promise<void> {
    await this.#heartbeat?.stop();
    await this.#host.close(options);
  }

  async #measured(task: Task): Promise<void> {
    let done = false;
    this.#meter.begin();
    try {
      await this.#perform(task);
      done = true;
    } finally {
      this.#meter.end({ done });
    }
  }

  async #perform(task: Task): Promise<void> {
    const { process, stage } = this.#options;
    const { store } = this.#parts;
    let record = task.record;
    for (;;) {
      const startedAtMs = performance.now();
      try {
        const run = BINDINGS[stage](task, record, this.#parts);
        switch (await this.#fateOf(record, run)) {
          case 'begun anew':
            return await this.#beginAnew(record, run.epoch);
          case 'put back':
            throw new PutBack();
          case 'not served':
            throw notServed(record.request.model);
          case 'encoded again':
            await this.#encodeAgain(task);
            record = await store.get(record.jobId);
            continue;
          case 'done here':
            return await run.save(await process(run.context), performance.now() - startedAtMs);
        }
      } catch (error) {
        if (task.signal.aborted || !isTensorGone(error)) throw error;
        await this.#encodeAgain(task, error);
        record = await store.get(record.jobId);
      }
    }
  }

  async #fateOf(
    { request, ...record }: JobRecord,
    { epoch = record.epoch, split, digest }: StageRun<S>,
  ): Promise<Fate> {
    if (split || epoch !== record.epoch) return 'begun anew';
    return (await this.#placement?.fateOf({ model: request.model, digest })) ?? 'done here';
  }

  /** Has all of an answer made by one bundle. Whoever comes too late for it sees to it that it is written again, too. */
  async #beginAnew({ jobId, place, ...before }: JobRecord, epoch = before.epoch): Promise<void> {
    const { store, flows, redis } = this.#parts;
    const record = await store.beginAnew(jobId, epoch);
    if (record.epoch > before.epoch) redis.log.info({ jobId }, 'the model was updated; the answer is begun anew');
    if (record.anew === record.epoch && !record.generated) await flows.addGenerate(jobId, place, record.epoch);
  }

  /**
   * Puts an encode task before this one. Returns only when that is done already; otherwise this task waits for it in Redis.
   * @param cause why the tensors are gone; none where they are of another bundle, which may happen as often as it does.
   */
  async #encodeAgain(task: Task, cause?: SegueError): Promise<void> {
    const { stage } = this.#options;
    const { store, flows, redis } = this.#parts;
    const { bull, record, token } = task;
    const { jobId, place } = record;
    const why = cause ? stage : `${stage}-other`;
    const times = await store.scripts.countRecompute(jobId, `${why}-${task.id}`);
    if (cause && times > MAX_RECOMPUTES) {
      throw new SegueError('UNAVAILABLE', 'The workers lost the encoded picture again and again. Try again later.', {
        cause,
      });
    }
    const what = cause ? 'tensors are gone' : 'the model was updated';
    redis.log.info({ jobId, stage, times }, `${what}; encoding the picture again`);
    const parent = { id: task.id, queue: bull.queueQualifiedName };
    await flows.addEncode(jobId, place, `${task.id}-${why}-${times}`, parent);
    if (await redis.ask(() => bull.moveToWaitingChildren(token))) throw new WaitingChildrenError();
  }
}

function baseContext(task: Task, { request, deadlineAtMs }: JobRecord): StageContexts['encode'] {
  return { request, deadlineAtMs: Date.now() + deadlineAtMs - task.redisNowMs(), signal: task.signal };
}

function encodedOf(record: JobRecord): TensorSetRef {
  if (!record.encoded) throw new Error(`job ${record.jobId} was given on before it was encoded`);
  return record.encoded;
}

function notServed(model: string): SegueError {
  return new SegueError(
    'UNAVAILABLE',
    `The model "${model}" is not served at the moment. Ask for another one, or try again later.`,
  );
}

function isTensorGone(error: unknown): error is SegueError {
  return error instanceof SegueError && error.reason === 'TENSOR_GONE';
}
