import type { Timings } from '@segue/core';
import { assembleAnswer } from '@segue/stages';
import type { JobRecord } from './record.js';
import { TaskHost, type JobParts, type StageRunReport } from './task-host.js';

export interface AnswerStageOptions {
  readonly concurrency: number;
  readonly onReport?: (report: StageRunReport) => void;
}

/** Works on the roots of flows: puts the answer together when all other stages are done. Runs in the gateway. */
export function answerStage(parts: JobParts, { concurrency, onReport }: AnswerStageOptions): TaskHost {
  const { store } = parts;
  return new TaskHost({
    queue: 'segment',
    parts,
    concurrency,
    begin: async (jobId) => ({ record: await store.find(jobId), deaths: 0, diedIn: [] }),
    readySinceMs: (record) => record.stages.generate.doneAtMs ?? record.readAtMs,
    async perform({ record: { jobId } }) {
      const segments = await store.segments(jobId);
      if (segments.length > 0) await store.endDecode(jobId);
      const record = await store.get(jobId);
      const { encoded, generated, request, recomputes } = record;
      if (!encoded || !generated)
        throw new Error(`job ${jobId} reached its end without having been encoded and generated`);
      const answer = assembleAnswer({
        jobId,
        imageId: request.imageId,
        generated,
        segments,
        imageCached: encoded.cached && recomputes === 0,
        timingsMs: timings(record),
      });
      await store.complete(jobId, answer);
    },
    onReport,
  });
}

/**
 * `queue` is the time before the encoder and before the language model took the job; `encode` and `generate` are their wall time,
 * retries and take-overs included; `decode` is the work on all segments together, which mostly overlaps with `generate`.
 */
export function timings(record: JobRecord): Timings {
  const { encode, generate } = record.stages;
  const between = (from: number | undefined, to: number | undefined) =>
    from === undefined || to === undefined ? 0 : Math.max(0, to - from);
  return {
    queue: between(record.createdAtMs, encode.startedAtMs) + between(encode.doneAtMs, generate.startedAtMs),
    encode: between(encode.startedAtMs, encode.doneAtMs),
    generate: between(generate.startedAtMs, generate.doneAtMs),
    decode: record.decodeMs,
    total: between(record.createdAtMs, record.readAtMs),
  };
}
