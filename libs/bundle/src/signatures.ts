import type { DType } from '@segue/tensors';
import type { Manifest } from './manifest.js';

/** `null`: any size. */
export type Dim = number | null;

interface Value {
  readonly name: string;
  /** Left out where another part of the manifest settles it. */
  readonly dtype?: DType;
  readonly shape: readonly Dim[];
}

/** Inputs and outputs that a stage counts on. */
interface Signature {
  /** The field that names the graph. */
  readonly path: string[];
  readonly key: string;
  readonly inputs: readonly Value[];
  readonly outputs: readonly Value[];
}

/** What the graphs of the language model and the decoder must take and give, with this manifest's sizes. */
export function signaturesOf({ language, decoder, encoder }: Manifest): Signature[] {
  const { kv, hiddenSize, promptSize } = language;
  const float = (name: string, shape: Dim[]): Value => ({ name, dtype: 'float32', shape });
  const int = (name: string, shape: Dim[]): Value => ({ name, dtype: 'int64', shape });
  const cache = (name: string): Value => float(name, [2 * kv.layers, null, kv.heads, null, kv.headDim]);
  return [
    {
      path: ['language', 'graph'],
      key: language.graph,
      inputs: [
        int('input_ids', [null, null]),
        int('lengths', [null]),
        float('visual_tokens', [null, null, hiddenSize]),
        cache('past_kv'),
        int('past_lengths', [null]),
        int('answer_starts', [null]),
        int('last', []),
      ],
      outputs: [
        cache('kv'),
        float('hidden', [null, null, hiddenSize]),
        int('tokens', [null, null]),
        float('logprobs', [null, null]),
      ],
    },
    {
      path: ['language', 'segHead'],
      key: language.segHead,
      inputs: [float('hidden', [null, hiddenSize])],
      outputs: [float('seg_embeddings', [null, promptSize])],
    },
    {
      path: ['decoder', 'graph'],
      key: decoder.graph,
      inputs: [
        ...encoder.decoderTensors.map((name) => ({ name, shape: [] })),
        float('seg_embeddings', [null, promptSize]),
        int('resized_size', [2]),
        int('original_size', [2]),
      ],
      outputs: [
        { name: 'masks', dtype: 'uint8', shape: [null, null, null] },
        float('scores', [null]),
        float('peak_logit', [null]),
      ],
    },
  ];
}
