import type { Bundle } from '@segue/bundle';
import { SingleFlight } from '@segue/inference';
import {
  tensorSetKey,
  type EncodeContext,
  type PictureSource,
  type RgbImage,
  type TensorSet,
  type TensorSetRef,
  type TensorSink,
} from '@segue/stages';

export interface EncodeStageParts {
  readonly bundle: Pick<Bundle, 'digest' | 'manifest'>;
  readonly encoder: { encode(picture: RgbImage, signal: AbortSignal): Promise<TensorSet> };
  readonly pictures: PictureSource;
  readonly tensors: TensorSink;
  /** Hears whether a picture's tensors were there already. */
  readonly onLookup?: (hit: boolean) => void;
}

/** The work on an encode task: the picture's tensors, computed unless somebody holds them already. */
export class EncodeStage {
  readonly #parts: EncodeStageParts;
  readonly #inFlight = new SingleFlight<string, TensorSetRef>();

  constructor(parts: EncodeStageParts) {
    this.#parts = parts;
  }

  readonly process = async (context: EncodeContext): Promise<TensorSetRef> => {
    const { bundle, tensors, onLookup } = this.#parts;
    const { imageId } = context.request;
    const key = tensorSetKey(bundle, imageId);
    const held = await tensors.find(key);
    onLookup?.(held !== undefined);
    // Tasks on one picture share a run, which goes on as long as one of them wants it.
    return held ?? this.#inFlight.run(key, (signal) => this.#encode(key, imageId, signal), context.signal);
  };

  async #encode(key: string, imageId: string, signal: AbortSignal): Promise<TensorSetRef> {
    const { pictures, encoder, tensors } = this.#parts;
    return tensors.put(key, await encoder.encode(await pictures.picture(imageId, signal), signal));
  }
}
