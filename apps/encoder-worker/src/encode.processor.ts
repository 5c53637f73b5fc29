import { Encoder, encoderGraphs } from '@segue/encoder';
import { decodePicture, preprocess } from '@segue/imaging';
import { SingleFlight } from '@segue/inference';
import type { StageProcessor, TensorSetRef } from '@segue/jobs';
import { pictureLimits } from '@segue/service';
import type { TensorHost } from '@segue/tensor-exchange';
import type { StageWorker, WorkerContext } from '@segue/worker';
import type { EncoderConfig } from './config.js';

/** The encode stage: picture to image embedding and visual tokens, which stay here until others pull them. */
export class EncodeProcessor implements StageWorker<'encode'> {
  readonly #config: EncoderConfig;
  readonly #inFlight = new SingleFlight<string, TensorSetRef>();
  #context!: WorkerContext;
  #encoder!: Encoder;
  #own!: TensorHost;

  constructor(config: EncoderConfig) {
    this.#config = config;
  }

  async open(context: WorkerContext): Promise<void> {
    const { bundle } = context;
    const sessions = await context.openGraphs(encoderGraphs(bundle.manifest));
    this.#context = context;
    this.#encoder = new Encoder(bundle, sessions, preprocess);
    this.#own = await context.openTensorHost();
    await this.#encoder.encode({ width: 64, height: 64, data: new Uint8Array(64 * 64 * 3) });
  }

  readonly process: StageProcessor<'encode'> = async ({ request: { imageId } }) => {
    const { bundle, tensors, metrics } = this.#context;
    const key = `${bundle.digest}/${imageId}`;
    const owner = await tensors.ownerOf(key);
    metrics.cacheLookup('picture', owner !== undefined);
    if (owner !== undefined) return { key, owner, cached: true };
    return this.#inFlight.run(key, () => this.#encode(key, imageId));
  };

  async #encode(key: string, imageId: string): Promise<TensorSetRef> {
    const { jobs } = this.#context;
    const bytes = await jobs.pictures.get(imageId);
    const picture = await decodePicture(bytes, pictureLimits(this.#config));
    const encoded = await this.#encoder.encode(picture);
    await this.#own.put(key, encoded.tensors);
    return { key, owner: this.#own.owner, cached: false };
  }
}
