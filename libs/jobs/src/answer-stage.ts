import type { Answer, Segment, Timings } from '@segue/core';

import type { Jobs } from './open-jobs.js';
import type { JobRecord } from './record.js';
import type { StageRunReport } from './stage.js';
import { TaskHost } from './task-host.js';

export interface AnswerStageOptions {
  readonly jobs: Jobs;
  readonly concurrency: number;
  readonly onReport?: (report: StageRunReport) => void;
}

/** Works on the roots of flows: puts the answer together when all other stages are done. Runs in the gateway. */
export class AnswerStage {
  private readonly host: TaskHost;

  constructor(options: AnswerStageOptions) {
    const { jobs, concurrency, onReport } = options;
    this.host = new TaskHost({
      queue: 'segment',
      jobs,
      concurrency,
      begin: (jobId) => jobs.store.find(jobId),
      perform: async ({ record: { jobId } }) => {
        const segments = await jobs.store.segments(jobId);
        if (segments.length > 0) await jobs.store.endDecode(jobId);
        const record = await jobs.store.get(jobId);
        await jobs.store.complete(jobId, assembleAnswer(record, segments, Date.now()));
      },
      ...(onReport && { onReport }),
    });
  }

  /** Begins to take tasks; resolves when the queue is connected. */
  start(): Promise<void> {
    return this.host.start();
  }

  close(options: { readonly graceMs: number }): Promise<void> {
    return this.host.close(options);
  }
}

/** @param nowMs milliseconds since the epoch. */
export function assembleAnswer(record: JobRecord, segments: readonly Segment[], nowMs: number): Answer {
  const { encoded, generated, jobId, request } = record;
  if (!encoded || !generated) throw new Error(`job ${jobId} reached its end without having been encoded and generated`);
  if (segments.length !== generated.segments) {
    throw new Error(`job ${jobId} has ${segments.length} segments where its text has ${generated.segments}`);
  }
  return {
    jobId,
    text: generated.text,
    segments,
    model: generated.model,
    finishReason: generated.finishReason,
    timingsMs: timings(record, nowMs),
    cache: { image: encoded.cached && record.recomputes === 0, prefix: generated.prefixCached },
    imageId: request.imageId,
  };
}

/**
 * `queue` is the time before the encoder and before the language model took the job; `encode` and `generate` are their wall time,
 * retries and take-overs included; `decode` is the work on all segments together, which mostly overlaps with `generate`.
 */
function timings(record: JobRecord, nowMs: number): Timings {
  const { encode, generate } = record.stages;
  const between = (from: number | undefined, to: number | undefined) =>
    from === undefined || to === undefined ? 0 : Math.max(0, to - from);
  return {
    queue: between(record.createdAtMs, encode.startedAtMs) + between(encode.doneAtMs, generate.startedAtMs),
    encode: between(encode.startedAtMs, encode.doneAtMs),
    generate: between(generate.startedAtMs, generate.doneAtMs),
    decode: record.decodeMs,
    total: between(record.createdAtMs, nowMs),
  };
}
