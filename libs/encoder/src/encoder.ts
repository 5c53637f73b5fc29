import type { ImageInput, Manifest } from '@segue/bundle';
import { SegueError } from '@segue/core';
import type { Session } from '@segue/inference';
import type { RgbImage, TensorSet } from '@segue/stages';
import { fitsShape, type Tensor } from '@segue/tensors';

/** Port: turns a picture into a graph's input `dtype[1, 3, h, w]` as the manifest says. */
export type Preprocess = (
  picture: RgbImage,
  spec: ImageInput,
  dtype: 'float32' | 'uint8',
  signal?: AbortSignal,
) => Promise<{ readonly tensor: Tensor<'float32' | 'uint8'> }>;

type EncoderManifest = Pick<Manifest, 'encoder' | 'images' | 'graphs'>;

/** Keys of the graphs that the encode stage runs. */
export function encoderGraphs({ encoder }: Pick<Manifest, 'encoder'>): string[] {
  return [...new Set(encoder.runs.map(({ graph }) => graph))];
}

/** The encode stage: what the other two stages need to know of a picture. */
export class Encoder {
  readonly #manifest: EncoderManifest;
  readonly #sessions: Readonly<Record<string, Session>>;
  readonly #preprocess: Preprocess;

  /** `sessions`: open sessions of `encoderGraphs(manifest)`; the caller closes them. */
  constructor(
    { manifest }: { readonly manifest: EncoderManifest },
    sessions: Readonly<Record<string, Session>>,
    preprocess: Preprocess,
  ) {
    this.#manifest = manifest;
    this.#sessions = sessions;
    this.#preprocess = preprocess;
  }

  /**
   * The decoder's tensors (batch 1) and the visual tokens `float32[1, visual, hidden]`, by their names in the manifest.
   * @throws SegueError INTERNAL when a graph fails or gives something else than the manifest says; the signal's reason once that
   * is aborted, before the next graph.
   */
  async encode(picture: RgbImage, signal?: AbortSignal): Promise<TensorSet> {
    const { encoder } = this.#manifest;
    const outputs = await Promise.all(encoder.runs.map((run) => this.#run(picture, run, signal)));
    const all = new Map(outputs.flat());
    const kept = [...encoder.decoderTensors, encoder.visualTokens].map((name): [string, Tensor] => {
      const tensor = all.get(name);
      if (!tensor) throw unfit(`no run gave "${name}"`);
      return [name, tensor];
    });
    return Object.fromEntries(kept);
  }

  async #run(
    picture: RgbImage,
    run: Manifest['encoder']['runs'][number],
    signal: AbortSignal | undefined,
  ): Promise<[string, Tensor][]> {
    const spec = this.#manifest.images[run.image];
    const graph = this.#manifest.graphs[run.graph];
    const session = this.#sessions[run.graph];
    if (!spec || !graph || !session) throw unfit(`no session is open for the graph "${run.graph}"`);
    const bytes = graph.inputs.find(({ name }) => name === run.input)?.dtype === 'uint8';
    const { tensor } = await this.#preprocess(picture, spec, bytes ? 'uint8' : 'float32', signal);
    signal?.throwIfAborted();
    const fetches = await session.run({ [run.input]: tensor }, { transfer: [run.input] });
    return graph.outputs.map((declared) => {
      const found = fetches[declared.name];
      if (found?.dtype !== declared.dtype || !fitsShape(found.shape, declared.shape)) {
        const shown = found ? `${found.dtype}[${found.shape.join(', ')}]` : 'nothing';
        throw unfit(`${run.graph} gave ${shown} as "${declared.name}"`);
      }
      return [declared.name, found];
    });
  }
}

function unfit(problem: string): SegueError {
  return new SegueError('INTERNAL', 'The encoder failed on this picture. Report the job id.', {
    cause: new Error(problem),
  });
}
