import type { Manifest } from '@segue/bundle';
import type { LanguageModel } from '@segue/llm';

/** Answers a question about a picture of nothing, so that every graph has run once before the first task. */
export async function warmUp(model: LanguageModel, { graphs, encoder, language }: Manifest): Promise<void> {
  const outputs = encoder.runs.flatMap((run) => graphs[run.graph]?.outputs ?? []);
  const declared = outputs.find((output) => output.name === encoder.visualTokens)?.shape[1];
  const shape = [1, typeof declared === 'number' ? declared : 1, language.hiddenSize] as const;
  await model.generate({
    imageId: 'warm-up',
    visualTokens: () =>
      Promise.resolve({ dtype: 'float32', shape, data: new Float32Array(shape[1] * language.hiddenSize) }),
    instruction: 'What is this?',
    history: [],
    mode: 'answer',
    maxTokens: 4,
    signal: new AbortController().signal,
  });
}
