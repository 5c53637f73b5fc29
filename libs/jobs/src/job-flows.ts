import { STAGES, type Stage } from '@segue/core';
import { PREFIX, SCHEMA, type RedisConnection } from '@segue/redis';
import type { SegmentPrompt } from '@segue/stages';
import { traceHeaders } from '@segue/tracing';
import { FlowProducer, Queue } from 'bullmq';
import {
  embeddingToText,
  QUEUE_KEYS,
  QUEUES,
  taskOptions,
  type DecodeTaskData,
  type Place,
  type QueueKey,
  type TaskData,
} from './queues.js';

/** Tasks of one queue that are not done. */
export interface QueueDepth {
  /** Ready to be taken. */
  readonly waiting: number;
  /** In a worker's hands. */
  readonly active: number;
  /** Not ready yet: waiting for a task of the stage before, or for their time. */
  readonly coming: number;
}

/** What a decode task must know besides its prompt. */
export type DecodeTaskOrigin = Pick<DecodeTaskData, 'digest' | 'epoch' | 'addedAtMs'>;

const STATES = ['waiting', 'prioritized', 'active', 'delayed', 'waiting-children'] as const;
/** BullMQ's own event stream, of which nothing here reads. */
const EVENTS_KEPT = 100;

/** Adds and withdraws the tasks of jobs. */
export class JobFlows {
  readonly #ask: RedisConnection['ask'];
  readonly #queues: Readonly<Record<QueueKey, Queue>>;
  readonly #flows: FlowProducer;

  constructor({ client, ask, onError }: RedisConnection) {
    const options = { connection: client, prefix: PREFIX };
    const queue = (key: QueueKey) =>
      new Queue(QUEUES[key], { ...options, streams: { events: { maxLen: EVENTS_KEPT } } }).on('error', onError);
    this.#ask = ask;
    this.#queues = {
      segment: queue('segment'),
      encode: queue('encode'),
      generate: queue('generate'),
      decode: queue('decode'),
    };
    this.#flows = new FlowProducer(options).on('error', onError);
  }

  /** Adds the job's flow: `segment <- generate <- encode`. */
  async start(jobId: string, place: Place): Promise<void> {
    const data = taskData(jobId);
    const opts = taskOptions(place, jobId);
    const encode = { name: 'encode', queueName: QUEUES.encode, data, opts };
    const generate = { name: 'generate', queueName: QUEUES.generate, data, opts, children: [encode] };
    const root = {
      name: 'segment',
      queueName: QUEUES.segment,
      data,
      opts: { ...opts, failParentOnFailure: false },
      children: [generate],
    };
    await this.#ask(() => this.#flows.add(root));
  }

  /** Whether the job has been started: a flow is added as a whole, and its root is the last to go. */
  async isStarted(jobId: string): Promise<boolean> {
    return (await this.#ask(() => this.#queues.segment.getJob(jobId))) !== undefined;
  }

  /** Adds the task that makes a mask, as one more child of the job's root. Adding it again changes nothing. */
  async addDecode(
    jobId: string,
    place: Place,
    { index, phrase, span, embedding }: SegmentPrompt,
    origin: DecodeTaskOrigin,
  ): Promise<void> {
    const data: DecodeTaskData = {
      ...taskData(jobId),
      index,
      phrase,
      span,
      embedding: embeddingToText(embedding),
      ...origin,
    };
    await this.#ask(() =>
      this.#queues.decode.add('decode', data, {
        ...taskOptions(place, `${jobId}-${origin.epoch}-${index}`),
        parent: { id: jobId, queue: this.#queues.segment.qualifiedName },
      }),
    );
  }

  /** Adds a task that writes the words of an answer that was begun anew, as one more child of the job's root. */
  async addGenerate(jobId: string, place: Place, epoch: number): Promise<void> {
    await this.#ask(() =>
      this.#queues.generate.add('generate', taskData(jobId), {
        ...taskOptions(place, `${jobId}-${epoch}`),
        parent: { id: jobId, queue: this.#queues.segment.qualifiedName },
      }),
    );
  }

  /** Adds an encode task as a child of the task that misses its tensors. */
  async addEncode(
    jobId: string,
    place: Place,
    id: string,
    parent: { readonly id: string; readonly queue: string },
  ): Promise<void> {
    const data = taskData(jobId);
    await this.#ask(() => this.#queues.encode.add('encode', data, { ...taskOptions(place, id), parent }));
  }

  /** Takes the waiting tasks of a job that has ended out of their queues; those that run end by their signal. */
  async withdraw(jobId: string): Promise<void> {
    await this.#ask(async () => (await this.#queues.segment.getJob(jobId))?.removeUnprocessedChildren());
  }

  /** BullMQ's keys of the tasks that wait for the stages, and of those in work, in their order. */
  get taskKeys(): { readonly waiting: readonly string[]; readonly inWork: readonly string[] } {
    const keys = (state: string) => STAGES.map((key) => this.#queues[key].toKey(state));
    return { waiting: keys('prioritized'), inWork: keys('active') };
  }

  /** For who shows them to operators. */
  get queues(): readonly Queue[] {
    return QUEUE_KEYS.map((key) => this.#queues[key]);
  }

  /** Lets no worker take a task of the stage any more, until it is resumed. */
  async pause(stage: Stage): Promise<void> {
    await this.#ask(() => this.#queues[stage].pause());
  }

  async resume(stage: Stage): Promise<void> {
    await this.#ask(() => this.#queues[stage].resume());
  }

  /** For metrics, scaling, and refusing work when too much waits. */
  async depth(): Promise<Record<QueueKey, QueueDepth>> {
    const depths = await this.#ask(() =>
      Promise.all(
        QUEUE_KEYS.map(async (key) => {
          const counts = await this.#queues[key].getJobCounts(...STATES);
          const { waiting = 0, prioritized = 0, active = 0, delayed = 0, 'waiting-children': parents = 0 } = counts;
          return [key, { waiting: waiting + prioritized, active, coming: delayed + parents }] as const;
        }),
      ),
    );
    return Object.fromEntries(depths) as Record<QueueKey, QueueDepth>;
  }

  async close(): Promise<void> {
    await Promise.all([this.#flows.close(), ...QUEUE_KEYS.map((key) => this.#queues[key].close())]);
  }
}

function taskData(jobId: string): TaskData {
  const trace = traceHeaders();
  return { schema: SCHEMA, jobId, ...('traceparent' in trace && { trace }) };
}
