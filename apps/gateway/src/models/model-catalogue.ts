import { join } from 'node:path';
import { loadBundle, type Manifest } from '@segue/bundle';
import { SegueError, type ModelFacts } from '@segue/core';

/** The models that this installation answers with. The gateway reads manifests only: weights are the workers' business. */
export class ModelCatalogue {
  private constructor(readonly models: readonly ModelFacts[]) {}

  /** @throws SegueError when the bundle cannot be read. */
  static async load(modelsDir: string, name: string): Promise<ModelCatalogue> {
    const { manifest } = await loadBundle(join(modelsDir, name), { verify: false });
    return new ModelCatalogue([toModel(manifest)]);
  }

  /**
   * @param name with or without its version, as answers give it (`name@version`); the default model when undefined.
   * @throws SegueError NOT_FOUND, naming the models that there are.
   */
  get(name: string | undefined): ModelFacts {
    const model = this.models.find((known) =>
      name === undefined ? known.isDefault : name === known.name || name === `${known.name}@${known.version}`,
    );
    if (model) return model;
    const names = this.models.map((known) => known.name).join(', ');
    throw new SegueError('NOT_FOUND', `There is no model with this name. Leave "model" out, or name one of: ${names}.`);
  }
}

function toModel({ name, version, description, purpose, knowledge, language, decoder }: Manifest): ModelFacts {
  return {
    name,
    version,
    description,
    modes: language.modes.maskOnly ? ['answer', 'mask_only'] : ['answer'],
    isDefault: true,
    trained: purpose === 'serving',
    scoreCalibrated: decoder.scoreCalibrated,
    maxTokens: language.limits.maxNewTokens,
    maxQuestionTokens: language.limits.maxQuestionTokens,
    ...(knowledge && { knowledge }),
  };
}
