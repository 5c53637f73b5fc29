import { FlowProducer, Queue } from 'bullmq';
import type { SegmentationRequest } from '@segue/core';

import type { JobStore } from './job-store.js';
import { KEYS, PREFIX } from './keys.js';
import { QUEUE_KEYS, QUEUES, taskOptions, type DecodeTaskData, type QueueKey, type TaskData } from './queues.js';
import type { JobRecord, NewJob } from './record.js';
import { askRedis } from './redis.js';
import type { ScriptedRedis } from './scripts.js';
import type { SegmentPrompt } from './stage.js';

/** Tasks of one queue that are not done. */
export interface QueueDepth {
  /** Ready to be taken. */
  readonly waiting: number;
  /** In a worker's hands. */
  readonly active: number;
  /** Waiting for their next attempt. */
  readonly delayed: number;
}

/** BullMQ's own event stream, of which nothing here reads. */
const EVENTS_KEPT = 100;

/** Adds and withdraws the tasks of jobs. */
export class JobProducer {
  private readonly queues: Readonly<Record<QueueKey, Queue>>;
  private readonly flows: FlowProducer;

  constructor(
    private readonly redis: ScriptedRedis,
    private readonly store: JobStore,
    onError: (error: Error) => void,
  ) {
    const options = { connection: redis, prefix: PREFIX };
    const queue = (key: QueueKey) =>
      new Queue(QUEUES[key], { ...options, streams: { events: { maxLen: EVENTS_KEPT } } }).on('error', onError);
    this.queues = {
      segment: queue('segment'),
      encode: queue('encode'),
      generate: queue('generate'),
      decode: queue('decode'),
    };
    this.flows = new FlowProducer(options).on('error', onError);
  }

  /**
   * Makes a job and starts it.
   * @throws SegueError ALREADY_EXISTS for an idempotency key that was used with another request, UNAVAILABLE without Redis.
   */
  async submit(job: NewJob): Promise<{ readonly jobId: string; readonly created: boolean }> {
    const submitted = await this.store.create(job);
    if (submitted.created) await this.start(submitted.jobId, job.request);
    return submitted;
  }

  /**
   * Starts jobs that were written down but not started, because whoever took them died in between.
   * @param olderThanMs leaves those alone that are being started right now.
   * @returns how many there were.
   */
  async startForgotten(olderThanMs: number): Promise<number> {
    const jobIds = await askRedis(() => this.redis.zrangebyscore(KEYS.unsent, 0, Date.now() - olderThanMs));
    for (const jobId of jobIds) {
      const record = await this.store.find(jobId);
      // The flow is added as a whole and its root is the last to go: no root, no flow.
      const root = await askRedis(() => this.queues.segment.getJob(jobId));
      if (record && !root) await this.start(jobId, record.request);
      else await askRedis(() => this.redis.zrem(KEYS.unsent, jobId));
    }
    return jobIds.length;
  }

  /** Adds the task that makes a mask, as one more child of the job's root. Adding it again changes nothing. */
  async addDecode(
    jobId: string,
    request: SegmentationRequest,
    prompt: SegmentPrompt & { readonly digest: string },
  ): Promise<void> {
    const { digest, index, phrase, span, embedding } = prompt;
    const bytes = Buffer.from(embedding.buffer, embedding.byteOffset, embedding.byteLength);
    const data: DecodeTaskData = { jobId, digest, index, phrase, span, embedding: bytes.toString('base64') };
    await this.queues.decode.add('decode', data, {
      ...taskOptions(request.priority, `${jobId}-${index}`),
      parent: { id: jobId, queue: this.queues.segment.qualifiedName },
    });
  }

  /** Adds an encode task as a child of the task that misses its tensors. */
  async addEncode(
    jobId: string,
    request: SegmentationRequest,
    id: string,
    parent: { id: string; queue: string },
  ): Promise<void> {
    const data: TaskData = { jobId };
    await this.queues.encode.add('encode', data, { ...taskOptions(request.priority, id), parent });
  }

  /** Cancels a job: its record ends, workers let go of it, waiting tasks leave their queues. */
  async cancel(jobId: string): Promise<JobRecord> {
    await this.store.get(jobId);
    if (await this.store.cancel(jobId)) await this.withdraw(jobId);
    return this.store.get(jobId);
  }

  /** Takes the waiting tasks of a job that has ended out of their queues; those that run end by their signal. */
  async withdraw(jobId: string): Promise<void> {
    await askRedis(async () => (await this.queues.segment.getJob(jobId))?.removeUnprocessedChildren());
  }

  /** For metrics, scaling, and refusing work when too much waits. */
  async depth(): Promise<Record<QueueKey, QueueDepth>> {
    const depths = await askRedis(() =>
      Promise.all(
        QUEUE_KEYS.map(async (key) => {
          const counts = await this.queues[key].getJobCounts('waiting', 'prioritized', 'active', 'delayed');
          const { waiting = 0, prioritized = 0, active = 0, delayed = 0 } = counts;
          return [key, { waiting: waiting + prioritized, active, delayed }] as const;
        }),
      ),
    );
    return Object.fromEntries(depths) as Record<QueueKey, QueueDepth>;
  }

  /** Connected workers of each queue, to refuse work that nobody would take. A worker that was killed counts no more. */
  async workers(): Promise<Record<QueueKey, number>> {
    const counts = await askRedis(() =>
      Promise.all(QUEUE_KEYS.map(async (key) => [key, await this.queues[key].getWorkersCount()] as const)),
    );
    return Object.fromEntries(counts) as Record<QueueKey, number>;
  }

  /** Adds the job's flow: `segment <- generate <- encode`. */
  private async start(jobId: string, request: SegmentationRequest): Promise<void> {
    const data: TaskData = { jobId };
    const opts = taskOptions(request.priority, jobId);
    const encode = { name: 'encode', queueName: QUEUES.encode, data, opts };
    const generate = { name: 'generate', queueName: QUEUES.generate, data, opts, children: [encode] };
    const root = {
      name: 'segment',
      queueName: QUEUES.segment,
      data,
      opts: { ...opts, failParentOnFailure: false },
      children: [generate],
    };
    await askRedis(() => this.flows.add(root));
    await askRedis(() => this.redis.zrem(KEYS.unsent, jobId));
  }

  async close(): Promise<void> {
    await Promise.all([this.flows.close(), ...QUEUE_KEYS.map((key) => this.queues[key].close())]);
  }
}
