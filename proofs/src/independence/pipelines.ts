import type { Bundle } from '@segue/bundle';
import { Decoder, decoderGraphs } from '@segue/decoder';
import { Encoder, encoderGraphs } from '@segue/encoder';
import { preprocess } from '@segue/imaging';
import { LanguageModel, languageGraphs } from '@segue/llm';
import { openSessions } from '@segue/onnx';
import { Pipeline } from '@segue/pipeline';

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
  const { manifest } = bundle;
  const keys = [...encoderGraphs(manifest), ...languageGraphs(manifest), ...decoderGraphs(manifest)];
  const group = await openSessions(bundle, keys, {
    threads,
    hardLimitMs: HARD_LIMIT_MS,
    onFatal: (error) => {
      throw error;
    },
  });
  const { sessions } = group;
  const rows: number[] = [];
  let hits = 0;
  const languageModel = await LanguageModel.create(bundle, sessions, {
    maxBatch,
    prefixCacheBytes,
    observer: {
      onDecode: (step) => void rows.push(step.rows),
      onPrefix: ({ hit }) => void (hits += Number(hit)),
    },
  });
  const encoder = new Encoder(bundle, sessions, preprocess);
  return {
    pipeline: new Pipeline(bundle, { encoder, languageModel, decoder: new Decoder(bundle, sessions) }),
    rows,
    hits: () => hits,
    async close() {
      await languageModel.close();
      await group.close();
    },
  };
}
