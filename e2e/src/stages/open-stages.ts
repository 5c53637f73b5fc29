import { loadBundle, type Bundle } from '@segue/bundle';
import { preprocess } from '@segue/imaging';
import type { Feeds, Session } from '@segue/inference';
import type { LanguageModelOptions } from '@segue/llm';
import { openSessions } from '@segue/onnx';
import { allGraphs, openModels, Pipeline, type OpenModels } from '@segue/pipeline';

/** What was fed to a graph. */
export interface Run {
  readonly graph: string;
  readonly feeds: Feeds;
  /** Whether it was a step of answers that are being written: those keep their cache. */
  readonly isStep: boolean;
}

/** The tokens of the prompts that runs have read, in order; guesses of what follows are left out. */
export function promptIds(runs: readonly Run[]): number[] {
  return runs
    .filter(({ feeds, isStep }) => feeds['input_ids'] && !isStep)
    .flatMap(({ feeds }) => {
      const ids = Array.from(feeds['input_ids']?.data ?? [], Number);
      const start = Number(feeds['answer_starts']?.data[0]);
      return start < 0 ? ids : ids.slice(0, start + 1);
    });
}

/** The three stages of a bundle over ONNX Runtime in this process. */
export interface OpenStages extends OpenModels {
  readonly bundle: Bundle;
  readonly pipeline: Pipeline;
  /** Every run since the start, in order. */
  readonly runs: Run[];
  close(): Promise<void>;
}

export async function openStages(dir: string, options: Partial<LanguageModelOptions> = {}): Promise<OpenStages> {
  const bundle = await loadBundle(dir);
  const group = await openSessions(bundle, allGraphs(bundle.manifest), {
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
          runs.push({ graph, feeds: small, isStep: runOptions?.lend?.includes('past_kv') ?? false });
          return session.run(feeds, runOptions);
        },
      },
    ]),
  );
  const models = await openModels(bundle, sessions, { preprocess, prefixCacheBytes: 2 ** 24, ...options });
  return {
    ...models,
    bundle,
    pipeline: new Pipeline(bundle, models),
    runs,
    close: async () => {
      await models.languageModel.close();
      await group.close();
    },
  };
}
