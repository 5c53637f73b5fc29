import { SegueError } from '@segue/core';
import { Decoder, decoderGraphs } from '@segue/decoder';
import type { StageProcessor } from '@segue/jobs';
import type { StageWorker, WorkerContext } from '@segue/worker';

/** The decode stage: image embedding and the embedding at a `<SEG>` to a mask of the picture's own size. */
export class DecodeProcessor implements StageWorker<'decode'> {
  #context!: WorkerContext;
  #decoder!: Decoder;

  async open(context: WorkerContext): Promise<void> {
    const sessions = await context.openGraphs(decoderGraphs(context.bundle.manifest));
    this.#context = context;
    this.#decoder = new Decoder(context.bundle, sessions);
  }

  readonly process: StageProcessor<'decode'> = async ({ request, encoded, prompt, signal }) => {
    const { bundle, jobs, tensors } = this.#context;
    const size = await jobs.pictures.size(request.imageId);
    if (!size) throw new SegueError('NOT_FOUND', 'The picture is not kept any more. Send it again.');
    const pulled = await tensors.pullOnce('encode', encoded, bundle.manifest.encoder.decoderTensors);
    signal.throwIfAborted();
    const [decoded] = await this.#decoder.decode({
      tensors: pulled,
      original: [size.height, size.width],
      embeddings: [prompt.embedding],
    });
    if (!decoded) throw new Error('the decoder returned no mask for a prompt');
    const { index, phrase, span } = prompt;
    return { index, phrase, span, ...decoded };
  };
}
