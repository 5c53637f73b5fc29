import { languageGraphs, LanguageModel } from '@segue/llm';
import type { StageProcessor } from '@segue/jobs';
import type { Registry } from '@segue/service';
import type { StageWorker, WorkerContext } from '@segue/worker';
import type { LlmConfig } from './config.js';
import { LanguageMetrics } from './language-metrics.js';
import { warmUp } from './warm-up.js';

/** The generate stage: visual tokens and an instruction to words, and an embedding at each `<SEG>`. */
export class GenerateProcessor implements StageWorker<'generate'> {
  readonly #config: LlmConfig;
  readonly #registry: Registry;
  #context!: WorkerContext;
  #model!: LanguageModel;

  constructor(config: LlmConfig, registry: Registry) {
    this.#config = config;
    this.#registry = registry;
  }

  async open(context: WorkerContext): Promise<void> {
    const { bundle, metrics } = context;
    const sessions = await context.openGraphs(languageGraphs(bundle.manifest));
    const observer = new LanguageMetrics(this.#registry, (hit) => metrics.cacheLookup('prefix', hit));
    this.#context = context;
    this.#model = await LanguageModel.create(bundle, sessions, {
      prefixCacheBytes: this.#config.prefixCacheBytes,
      observer,
    });
    await warmUp(this.#model, bundle.manifest);
  }

  readonly process: StageProcessor<'generate'> = async (task) => {
    const { bundle, tensors } = this.#context;
    const { request, signal, encoded, deadlineAtMs } = task;
    const { visualTokens } = bundle.manifest.encoder;
    const generation = await this.#model.generate({
      ...request,
      signal,
      visualTokens: () => tensors.pull('encode', encoded, visualTokens, { signal, deadlineAtMs }),
      onText: (piece) => task.writeText(piece),
      onSegment: (segment) => task.addDecode(segment),
    });
    const { segments, ...rest } = generation;
    return { ...rest, segments: segments.length, model: bundle.id };
  };

  close(): Promise<void> {
    return this.#model.close();
  }
}
