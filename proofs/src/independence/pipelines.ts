import type { Bundle } from '@segue/bundle';
import { preprocess } from '@segue/imaging';
import { openSessions } from '@segue/onnx';
import { allGraphs, openModels, Pipeline } from '@segue/pipeline';

export interface PipelineOptions {
  /** Of one run of a graph. */
  readonly threads: number;
  /** Answers written at once at most. */
  readonly maxBatch: number;
  readonly prefixCacheBytes: number;
}

export interface OpenPipeline {
  readonly pipeline: Pipeline;
  /** Rows of every step that was taken. */
  readonly rows: readonly number[];
  /** Requests whose picture's prefix was there. */
  readonly hits: () => number;
  close(): Promise<void>;
}

const HARD_LIMIT_MS = 300_000;

/** All stages of a bundle in this process. */
export async function openPipeline(bundle: Bundle, options: PipelineOptions): Promise<OpenPipeline> {
  const { threads, maxBatch, prefixCacheBytes } = options;
  const group = await openSessions(bundle, allGraphs(bundle.manifest), {
    threads,
    hardLimitMs: HARD_LIMIT_MS,
    onFatal: (error) => {
      throw error;
    },
  });
  const rows: number[] = [];
  let hits = 0;
  const models = await openModels(bundle, group.sessions, {
    preprocess,
    maxBatch,
    prefixCacheBytes,
    observer: {
      onDecode: (step) => void rows.push(step.rows),
      onPrefix: ({ hit }) => void (hits += Number(hit)),
    },
  });
  return {
    pipeline: new Pipeline(bundle, models),
    rows,
    hits: () => hits,
    async close() {
      await models.languageModel.close();
      await group.close();
    },
  };
}
