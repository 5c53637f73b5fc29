import { loadBundle, type Bundle } from '@segue/bundle';
import { Decoder, decoderGraphs } from '@segue/decoder';
import { Encoder, encoderGraphs } from '@segue/encoder';
import { preprocess } from '@segue/imaging';
import type { Feeds, Session } from '@segue/inference';
import { LanguageModel, languageGraphs, type LanguageModelOptions } from '@segue/llm';
import { openSessions } from '@segue/onnx';
import { Pipeline } from '@segue/pipeline';

/** What was fed to a graph. */
export interface Run {
  readonly graph: string;
  readonly feeds: Feeds;
}

/** The three stages of a bundle over ONNX Runtime in this process. */
export interface OpenStages {
  readonly bundle: Bundle;
  readonly encoder: Encoder;
  readonly languageModel: LanguageModel;
  readonly decoder: Decoder;
  readonly pipeline: Pipeline;
  /** Every run since the start, in order. */
  readonly runs: Run[];
  close(): Promise<void>;
}

export async function openStages(dir: string, options: Partial<LanguageModelOptions> = {}): Promise<OpenStages> {
  const bundle = await loadBundle(dir);
  const { manifest } = bundle;
  const keys = [...encoderGraphs(manifest), ...languageGraphs(manifest), ...decoderGraphs(manifest)];
  const group = await openSessions(bundle, keys, {
    threads: 1,
    hardLimitMs: 60_000,
    onFatal: (error) => {
      throw error;
    },
  });
  const runs: Run[] = [];
  const sessions = Object.fromEntries(
    Object.entries(group.sessions).map(([graph, session]): [string, Session] => [
      graph,
      {
        run: (feeds, runOptions) => {
          const { past_kv: _, ...small } = feeds;
          runs.push({ graph, feeds: small });
          return session.run(feeds, runOptions);
        },
      },
    ]),
  );
  const encoder = new Encoder(bundle, sessions, preprocess);
  const languageModel = await LanguageModel.create(bundle, sessions, { prefixCacheBytes: 2 ** 24, ...options });
  const decoder = new Decoder(bundle, sessions);
  return {
    bundle,
    encoder,
    languageModel,
    decoder,
    pipeline: new Pipeline(bundle, { encoder, languageModel, decoder }),
    runs,
    close: async () => {
      await languageModel.close();
      await group.close();
    },
  };
}
