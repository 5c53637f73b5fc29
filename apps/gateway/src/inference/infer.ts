import { inputsToAsked, toTensors, type Input, type Tensor } from '@segue/dialects';
import type { ModelCatalogue } from '../models/model-catalogue.js';
import { commandOfAsked } from '../segmentation/command.js';
import type { Caller, SegmentationService } from '../segmentation/segmentation.service.js';

export interface Inference {
  readonly modelName: string;
  readonly modelVersion: string;
  readonly tensors: readonly Tensor[];
}

/** What both halves of the Open Inference Protocol do with a question. */
export class Infer {
  readonly #service: SegmentationService;
  readonly #catalogue: ModelCatalogue;

  constructor(service: SegmentationService, catalogue: ModelCatalogue) {
    this.#service = service;
    this.#catalogue = catalogue;
  }

  /**
   * @param version of the model; any when empty.
   * @param wanted names of outputs; all when empty.
   * @throws SegueError
   */
  async run(
    name: string,
    version: string,
    inputs: readonly Input[],
    wanted: readonly string[],
    caller: Caller,
  ): Promise<Inference> {
    const model = this.#catalogue.get(version === '' ? name : `${name}@${version}`);
    // Names of outputs are checked before the question is asked.
    toTensors(NOTHING, [0, 0], wanted);
    const answer = await this.#service.segment(commandOfAsked(inputsToAsked(inputs, model.name), {}), caller);
    const size = answer.segments[0]?.mask.size ?? (await this.#service.pictureSize(answer.imageId));
    return { modelName: model.name, modelVersion: model.version, tensors: toTensors(answer, size, wanted) };
  }
}

const NOTHING = {
  jobId: '',
  imageId: '',
  text: '',
  segments: [],
  model: '',
  finishReason: 'stop',
  timingsMs: { queue: 0, encode: 0, generate: 0, decode: 0, total: 0 },
  cache: { image: false, prefix: false },
} as const;
