import type { Manifest } from '@segue/bundle';
import { SegueError } from '@segue/core';
import type { Decoder } from '@segue/decoder';
import { DTYPES, elementCount, type Tensor } from '@segue/tensors';

const SIDE = 64;

/** Decodes a mask of a picture of nothing, so that the graph has run once before the first task. */
export async function warmUp(
  decoder: Decoder,
  { decoder: { graph }, encoder, graphs, language }: Manifest,
): Promise<void> {
  const declared = new Map(graphs[graph]?.inputs.map((input) => [input.name, input]));
  const tensors = encoder.decoderTensors.map((name): [string, Tensor] => {
    const input = declared.get(name);
    if (!input) throw new SegueError('INTERNAL', `The graph "${graph}" does not declare its input "${name}".`);
    const shape = input.shape.map((dim) => (typeof dim === 'number' ? dim : 1));
    return [name, { dtype: input.dtype, shape, data: new DTYPES[input.dtype].array(elementCount(shape)) }];
  });
  await decoder.decode({
    tensors: Object.fromEntries(tensors),
    original: [SIDE, SIDE],
    embeddings: [new Float32Array(language.promptSize)],
  });
}
