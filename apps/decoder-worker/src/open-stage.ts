import { Decoder, decoderGraphs, DecodeStage } from '@segue/decoder';
import { digestOf } from '@segue/stages';
import { KeptTensors } from '@segue/tensor-exchange';
import type { OpenStage, StageContext } from '@segue/worker';
import type { DecoderConfig } from './config.js';
import { warmUp } from './warm-up.js';

/** The decode stage: image embedding and the embedding at a `<SEG>` to a mask of the picture's own size. */
export async function openStage(context: StageContext<DecoderConfig>): Promise<OpenStage<'decode'>> {
  const { bundle, config, metrics, pictures } = context;
  const decoder = new Decoder(bundle, await context.openGraphs(decoderGraphs(bundle.manifest)));
  await warmUp(decoder, bundle.manifest);
  const tensors = new KeptTensors({
    source: context.tensors,
    maxBytes: config.tensorCacheBytes,
    onLookup: (hit) => metrics.cacheLookup('tensors', hit),
  });
  // A picture's tensors are fetched while the words of its first answer are still being written.
  const ahead = context.directory.watch(async (ref) => {
    if (digestOf(ref) === bundle.digest) await tensors.pull(ref, bundle.manifest.encoder.decoderTensors);
  });
  const { process } = new DecodeStage({ bundle, decoder, pictures, tensors });
  return {
    process,
    async close() {
      await ahead.stop();
      tensors.clear();
    },
  };
}
