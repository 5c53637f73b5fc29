import type { Bundle } from '@segue/bundle';
import { SegueError } from '@segue/core';
import type { Generated, GenerateContext, TensorSource } from '@segue/stages';
import type { Tensor } from '@segue/tensors';
import type { GenerateRequest, Generation } from './language-model.js';

export interface GenerateStageParts {
  readonly bundle: Pick<Bundle, 'id' | 'manifest'>;
  readonly model: { generate(request: GenerateRequest): Promise<Generation> };
  readonly tensors: TensorSource;
}

/** The work on a generate task: visual tokens and an instruction to words, and an embedding at each `<SEG>`. */
export class GenerateStage {
  readonly #parts: GenerateStageParts;

  constructor(parts: GenerateStageParts) {
    this.#parts = parts;
  }

  readonly process = async (context: GenerateContext): Promise<Generated> => {
    const { bundle, model } = this.#parts;
    const { segments, ...rest } = await model.generate({
      ...context.request,
      signal: context.signal,
      visualTokens: () => this.#visualTokens(context),
      onText: (piece) => context.writeText(piece),
      onSegment: (segment) => context.addDecode(segment),
    });
    return { ...rest, segments: segments.length, model: bundle.id };
  };

  async #visualTokens({ encoded, signal, deadlineAtMs }: GenerateContext): Promise<Tensor> {
    const { visualTokens } = this.#parts.bundle.manifest.encoder;
    const { [visualTokens]: tensor } = await this.#parts.tensors.pull(encoded, [visualTokens], {
      signal,
      deadlineAtMs,
    });
    if (tensor) return tensor;
    throw new SegueError('INTERNAL', 'The encoder and the language model are of different bundles.');
  }
}
