import { GenerateStage, languageGraphs, LanguageModel } from '@segue/llm';
import type { TensorSource } from '@segue/stages';
import type { OpenStage, StageContext } from '@segue/worker';
import type { LlmConfig } from './config.js';
import { LanguageMetrics } from './language-metrics.js';
import { warmUp } from './warm-up.js';

/** The generate stage: visual tokens and an instruction to words, and an embedding at each `<SEG>`. */
export async function openStage(context: StageContext<LlmConfig>): Promise<OpenStage<'generate'>> {
  const { bundle, config, directory, metrics, registry, tensors } = context;
  const sessions = await context.openGraphs(languageGraphs(bundle.manifest));
  const model = await LanguageModel.create(bundle, sessions, {
    draftTokens: config.draftTokens,
    prefixCacheBytes: config.prefixCacheBytes,
    observer: new LanguageMetrics(registry, (hit) => metrics.cacheLookup('prefix', hit)),
  });
  await warmUp(model, bundle.manifest);
  const source: TensorSource = {
    async pull(ref, names, options) {
      const pulled = await tensors.pull(ref, names, options);
      // Not before: what the decoder fetches ahead is thirty times as much, and would be in the way of the visual tokens.
      void directory.announce(ref);
      return pulled;
    },
  };
  const { process } = new GenerateStage({ bundle, model, tensors: source });
  return { process, close: () => model.close() };
}
