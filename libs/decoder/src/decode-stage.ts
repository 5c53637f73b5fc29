import type { Bundle } from '@segue/bundle';
import { SegueError, type Segment } from '@segue/core';
import type { DecodeContext, PictureSizes, TensorSource } from '@segue/stages';
import type { DecodedMask, DecodeRequest } from './decoder.js';

export interface DecodeStageParts {
  readonly bundle: Pick<Bundle, 'manifest'>;
  readonly decoder: { decode(request: DecodeRequest): Promise<DecodedMask[]> };
  readonly pictures: PictureSizes;
  readonly tensors: TensorSource;
}

/** The work on a decode task: image embedding and the embedding at a `<SEG>` to a mask of the picture's own size. */
export class DecodeStage {
  readonly #parts: DecodeStageParts;

  constructor(parts: DecodeStageParts) {
    this.#parts = parts;
  }

  readonly process = async (context: DecodeContext): Promise<Segment> => {
    const { bundle, decoder, pictures, tensors } = this.#parts;
    const { request, encoded, prompt, signal } = context;
    const [{ width, height }, pulled] = await Promise.all([
      pictures.sizeOf(request.imageId),
      tensors.pull(encoded, bundle.manifest.encoder.decoderTensors, context),
    ]);
    signal.throwIfAborted();
    const [decoded] = await decoder.decode({
      tensors: pulled,
      original: [height, width],
      embeddings: [prompt.embedding],
    });
    if (!decoded) throw new SegueError('INTERNAL', 'The mask decoder gave no mask. Report the picture.');
    const { index, phrase, span } = prompt;
    return { index, phrase, span, ...decoded };
  };
}
