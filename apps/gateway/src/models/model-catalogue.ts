import { join } from 'node:path';
import { loadBundle, type Manifest } from '@segue/bundle';
import { SegueError, type Mode } from '@segue/core';

/** A model as clients see it. */
export interface Model {
  readonly name: string;
  readonly version: string;
  readonly description: string;
  readonly modes: readonly Mode[];
  readonly isDefault: boolean;
  readonly trained: boolean;
  readonly scoreCalibrated: boolean;
  /** Longest answer, and longest question with its conversation, in tokens. */
  readonly maxTokens: number;
  readonly maxQuestionTokens: number;
  /** What people should know of it before they ask. */
  readonly knowledge?: Manifest['knowledge'];
}

/** The models that this installation answers with. The gateway reads manifests only: weights are the workers' business. */
export class ModelCatalogue {
  private constructor(readonly models: readonly Model[]) {}

  /** @throws SegueError when the bundle cannot be read. */
  static async load(modelsDir: string, name: string): Promise<ModelCatalogue> {
    const { manifest } = await loadBundle(join(modelsDir, name), { verify: false });
    return new ModelCatalogue([toModel(manifest)]);
  }

  /**
   * @param name with or without its version, as answers give it (`name@version`); the default model when undefined.
   * @throws SegueError NOT_FOUND, naming the models that there are.
   */
  get(name: string | undefined): Model {
    const model = this.models.find((known) =>
      name === undefined ? known.isDefault : name === known.name || name === `${known.name}@${known.version}`,
    );
    if (model) return model;
    const names = this.models.map((known) => known.name).join(', ');
    throw new SegueError('NOT_FOUND', `There is no model with this name. Leave "model" out, or name one of: ${names}.`);
  }
}

function toModel({ name, version, description, purpose, knowledge, language, decoder }: Manifest): Model {
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
