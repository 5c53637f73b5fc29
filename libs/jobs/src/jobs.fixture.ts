import { SegueError, type JobEvent, type Log, type Segment, type SegmentationRequest } from '@segue/core';
import { everywhere, masterOf, SAMPLE_REQUEST, startRedis } from '@segue/testing';
import type { Redis } from 'ioredis';
import { afterAll, afterEach, beforeAll } from 'vitest';

import { openRedis, PREFIX, type RedisConnection, type RedisRole } from '@segue/redis';
import type { Generated, StageProcessor, TensorSetRef } from '@segue/stages';
import { AnswerJournal } from './answer-journal.js';
import { JobFlows } from './job-flows.js';
import { JobStore } from './job-store.js';
import { Jobs } from './jobs.js';
import type { NewJob } from './record.js';
import type { StageHost, StageHostOptions } from './stage-host.js';

const silent = { info: () => undefined, warn: () => undefined, error: () => undefined };

interface OpenOptions {
  readonly url: string;
  readonly sentinels: readonly string[];
  readonly role: RedisRole;
  readonly log: Log;
  readonly jobKeepMs: number;
}

/** Jobs with what a test must see of their inside. */
export class OpenedJobs extends Jobs {
  readonly connection: RedisConnection;
  readonly store: JobStore;
  readonly flows: JobFlows;

  constructor(connection: RedisConnection, jobKeepMs: number) {
    super(connection, { jobKeepMs });
    this.connection = connection;
    this.store = new JobStore(connection, jobKeepMs);
    this.flows = new JobFlows(connection);
  }

  get redis(): RedisConnection['client'] {
    return this.connection.client;
  }

  /** The Redis that holds the jobs. */
  home(): Promise<Redis> {
    return masterOf(this.redis, PREFIX);
  }

  /** How many listen to the channel. */
  async subscribers(channel: string): Promise<number> {
    const counts = await everywhere(this.redis, (redis) => redis.pubsub('NUMSUB', channel));
    return counts.reduce((sum, [, count]) => sum + Number(count), 0);
  }

  ping(): Promise<boolean> {
    return this.connection.ping();
  }

  /** What a run of the language model writes through. */
  journal(jobId: string, addDecode: AnswerJournal['addDecode'] = () => Promise.resolve()): AnswerJournal {
    return new AnswerJournal({ store: this.store, jobId, epoch: 0, addDecode });
  }

  override async close(): Promise<void> {
    await this.flows.close();
    await super.close();
    this.connection.close();
  }
}

/** A Redis or a cluster for one spec file, emptied after each test, with everything that a test has opened on it closed. */
export function useJobs() {
  let redis: Awaited<ReturnType<typeof startRedis>>;
  const closers: (() => Promise<void>)[] = [];
  beforeAll(async () => {
    redis = await startRedis();
  });
  afterEach(async () => {
    for (const close of closers.splice(0).reverse()) await close();
    const cleaner = open();
    await everywhere(cleaner.redis, (redis) => redis.flushall(), 'master');
    await cleaner.close();
  });
  afterAll(() => redis.stop());

  function open(options: Partial<OpenOptions> = {}): OpenedJobs {
    const { url = redis.url, sentinels = [], role = 'worker', log = silent, jobKeepMs = 60_000 } = options;
    return new OpenedJobs(openRedis({ url, sentinels, role, log }), jobKeepMs);
  }
  return {
    /** As another process has them: connections of their own. */
    open(options?: Partial<OpenOptions>): OpenedJobs {
      const jobs = open(options);
      closers.push(() => jobs.close());
      return jobs;
    },
    /** Starts one worker of each stage, each on its own connections, with fakes where nothing else is given. */
    startWorkers(stages: Partial<FakeStages> = {}, connection: Partial<OpenOptions> = {}): void {
      const { encode, generate, decode } = { ...fakeStages, ...stages };
      this.startStage({ stage: 'encode', concurrency: 4, process: encode }, connection);
      this.startStage({ stage: 'generate', concurrency: 4, process: generate }, connection);
      this.startStage({ stage: 'decode', concurrency: 4, process: decode }, connection);
      this.startAnswers(connection);
    },
    startStage<S extends 'encode' | 'generate' | 'decode'>(
      options: StageHostOptions<S>,
      connection: Partial<OpenOptions> = {},
    ): StageHost<S> {
      const host = this.open(connection).stageHost(options);
      void host.start();
      closers.push(() => host.close({ graceMs: 0 }));
      return host;
    },
    startAnswers(connection: Partial<OpenOptions> = {}): void {
      const stage = this.open(connection).answerStage({ concurrency: 4 });
      void stage.start();
      closers.push(() => stage.close({ graceMs: 0 }));
    },
    onEnd(close: () => Promise<void>): void {
      closers.push(close);
    },
  };
}

export interface FakeStages {
  readonly encode: StageProcessor<'encode'>;
  readonly generate: StageProcessor<'generate'>;
  readonly decode: StageProcessor<'decode'>;
}

export const encoded: TensorSetRef = { key: 'digest/image', owner: '127.0.0.1:50061', cached: false };

export const fakeStages: FakeStages = {
  encode: () => Promise.resolve(encoded),
  async generate({ writeText, addDecode }) {
    await writeText({ offset: 0, text: 'The cup <SEG>' });
    await addDecode(prompt(0));
    await writeText({ offset: 13, text: ' and the spoon <SEG>.' });
    await addDecode(prompt(1));
    return generated({ text: 'The cup <SEG> and the spoon <SEG>.', segments: 2 });
  },
  decode: ({ prompt: { index } }) => Promise.resolve(segment(index)),
};

export function prompt(index: number) {
  return { index, phrase: `thing ${index}`, span: [0, 5] as const, embedding: new Float32Array(256).fill(index + 0.5) };
}

export function segment(index: number): Segment {
  return {
    index,
    phrase: `thing ${index}`,
    span: [0, 5],
    mask: { size: [2, 2], counts: '04' },
    box: [0, 0, 2, 2],
    area: 4,
    score: 0.9,
  };
}

export function generated(overrides: Partial<Generated> = {}): Generated {
  return {
    text: 'Nothing here.',
    segments: 0,
    finishReason: 'stop',
    model: 'tiny-random@0.1.0',
    promptTokens: 12,
    tokens: 5,
    prefixCached: false,
    ...overrides,
  };
}

/** How a stage fails whose tensors are in no worker's memory any more. */
export function gone(): Promise<never> {
  return Promise.reject(new SegueError('UNAVAILABLE', 'The tensors are gone.', { reason: 'TENSOR_GONE' }));
}

export function request(overrides: Partial<SegmentationRequest> = {}): SegmentationRequest {
  return { ...SAMPLE_REQUEST, ...overrides };
}

export function newJob(overrides: Partial<NewJob> = {}): NewJob {
  return { request: request(), timeoutMs: 30_000, ...overrides };
}

/** All events of a job until its end. */
export async function eventsOf(jobs: Jobs, jobId: string, after?: string): Promise<JobEvent[]> {
  const events: JobEvent[] = [];
  for await (const event of jobs.events(jobId, after === undefined ? {} : { after })) events.push(event);
  return events;
}

export async function lastEvent(jobs: Jobs, jobId: string): Promise<JobEvent> {
  const last = (await eventsOf(jobs, jobId)).at(-1);
  if (!last) throw new Error('the log is empty');
  return last;
}

/** Resolves when the condition holds. */
export async function until(condition: () => Promise<boolean> | boolean, timeoutMs = 15_000): Promise<void> {
  const end = Date.now() + timeoutMs;
  while (!(await condition())) {
    if (Date.now() > end) throw new Error('waited in vain');
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** Resolves, with an error, when the signal aborts: how a well-behaved stage waits. */
export function forever(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    const stop = () => reject(signal.reason as Error);
    if (signal.aborted) stop();
    signal.addEventListener('abort', stop, { once: true });
  });
}
