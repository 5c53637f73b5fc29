import { fitSize, type Manifest } from '@segue/bundle';
import { SegueError, encodeMask, maskArea, maskBox, type Box, type RunLengthMask } from '@segue/core';
import type { Fetches, Session } from '@segue/inference';
import { releaseMemory, type DType, type Tensor } from '@segue/tensors';

export interface DecodeRequest {
  /** The decoder's tensors of the picture, by their names in the manifest; more are ignored. */
  readonly tensors: Readonly<Record<string, Tensor>>;
  /** The picture's size in pixels. */
  readonly original: readonly [height: number, width: number];
  /** `float32[promptSize]` for each segment. */
  readonly embeddings: readonly Float32Array[];
}

export interface DecodedMask {
  /** At the picture's own size. */
  readonly mask: RunLengthMask;
  readonly box: Box;
  /** Pixels in the mask. */
  readonly area: number;
  /** 0..1 */
  readonly score: number;
}

type DecoderManifest = Pick<Manifest, 'decoder' | 'encoder' | 'images' | 'language'>;

/** Keys of the graphs that the decode stage runs. */
export function decoderGraphs({ decoder }: Pick<Manifest, 'decoder'>): string[] {
  return [decoder.graph];
}

/** The decode stage: prompt embeddings and the picture's tensors to masks. */
export class Decoder {
  readonly #manifest: DecoderManifest;
  readonly #session: Session;

  /**
   * `sessions`: open sessions of `decoderGraphs(manifest)`; the caller closes them.
   * @throws SegueError INTERNAL when the session is missing.
   */
  constructor({ manifest }: { readonly manifest: DecoderManifest }, sessions: Readonly<Record<string, Session>>) {
    const session = sessions[manifest.decoder.graph];
    if (!session) throw failed(`no session is open for the graph "${manifest.decoder.graph}"`);
    this.#manifest = manifest;
    this.#session = session;
  }

  /**
   * A mask for each embedding, in their order.
   * @throws SegueError INTERNAL when the model fails or computes something that is not a number: such a mask would look
   * empty and be wrong.
   */
  async decode({ tensors, original, embeddings }: DecodeRequest): Promise<DecodedMask[]> {
    const { decoder } = this.#manifest;
    const masks: DecodedMask[] = [];
    for (let start = 0; start < embeddings.length; start += decoder.maxSegmentsPerRun) {
      const part = embeddings.slice(start, start + decoder.maxSegmentsPerRun);
      masks.push(...(await this.#run(tensors, original, part)));
    }
    return masks;
  }

  async #run(
    tensors: DecodeRequest['tensors'],
    original: DecodeRequest['original'],
    embeddings: readonly Float32Array[],
  ): Promise<DecodedMask[]> {
    const { decoder, encoder, images } = this.#manifest;
    const image = images[decoder.image];
    if (!image) throw failed(`the manifest has no image input "${decoder.image}"`);
    const picture = encoder.decoderTensors.map((name): [string, Tensor] => {
      const tensor = tensors[name];
      if (!tensor) throw failed(`the picture's tensor "${name}" is missing`);
      return [name, tensor];
    });
    const fetches = await this.#session.run({
      ...Object.fromEntries(picture),
      seg_embeddings: this.#stack(embeddings),
      resized_size: sizeTensor(fitSize(image, original)),
      original_size: sizeTensor(original),
    });
    const [height, width] = original;
    const pixels = output(fetches, 'masks', 'uint8', [embeddings.length, height, width]).data;
    const scores = output(fetches, 'scores', 'float32', [embeddings.length]).data;
    const peaks = output(fetches, 'peak_logit', 'float32', [embeddings.length]).data;
    const decoded = embeddings.map((_, index) => {
      const score = scores[index] ?? NaN;
      if (!Number.isFinite(peaks[index]) || !Number.isFinite(score)) {
        throw failed(`segment ${index} has the peak logit ${peaks[index]} and the score ${score}`);
      }
      const mask = encodeMask(pixels.subarray(index * height * width, (index + 1) * height * width), height, width);
      return { mask, box: maskBox(mask), area: maskArea(mask), score };
    });
    releaseMemory(pixels);
    return decoded;
  }

  /** `float32[segments, promptSize]` */
  #stack(embeddings: readonly Float32Array[]): Tensor<'float32'> {
    const { promptSize } = this.#manifest.language;
    const data = new Float32Array(embeddings.length * promptSize);
    embeddings.forEach((embedding, index) => {
      if (embedding.length !== promptSize)
        throw failed(`an embedding has ${embedding.length} values, not ${promptSize}`);
      data.set(embedding, index * promptSize);
    });
    return { dtype: 'float32', shape: [embeddings.length, promptSize], data };
  }
}

function sizeTensor([height, width]: readonly [number, number]): Tensor<'int64'> {
  return { dtype: 'int64', shape: [2], data: BigInt64Array.of(BigInt(height), BigInt(width)) };
}

function output<D extends DType>(fetches: Fetches, name: string, dtype: D, shape: readonly number[]): Tensor<D> {
  const tensor = fetches[name];
  if (tensor?.dtype === dtype && tensor.shape.join() === shape.join()) return tensor as Tensor<D>;
  const found = tensor ? `${tensor.dtype}[${tensor.shape.join(', ')}]` : 'nothing';
  throw failed(`the graph gave ${found} as "${name}" instead of ${dtype}[${shape.join(', ')}]`);
}

function failed(problem: string): SegueError {
  return new SegueError('INTERNAL', 'The mask decoder failed, so there is no mask. Report the job id.', {
    cause: new Error(problem),
  });
}
