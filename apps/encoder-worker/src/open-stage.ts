import { Encoder, encoderGraphs, EncodeStage } from '@segue/encoder';
import { decodePicture, preprocess } from '@segue/imaging';
import { pictureLimits } from '@segue/service';
import { startTensorHost } from '@segue/tensor-exchange';
import type { OpenStage, StageContext } from '@segue/worker';
import type { EncoderConfig } from './config.js';

/** How long pulls that have begun may take to end. */
const TENSOR_GRACE_MS = 2_000;

/** The encode stage: picture to image embedding and visual tokens, which stay here until others pull them. */
export async function openStage(context: StageContext<EncoderConfig>): Promise<OpenStage<'encode'>> {
  const { bundle, config, directory, logger, metrics, pictures } = context;
  const sessions = await context.openGraphs(encoderGraphs(bundle.manifest));
  const encoder = new Encoder(bundle, sessions, preprocess);
  await encoder.encode({ width: 64, height: 64, data: new Uint8Array(64 * 64 * 3) });
  const own = await startTensorHost({
    directory,
    maxBytes: config.tensorCacheBytes,
    listenHost: config.host,
    port: config.tensorPort,
    host: config.tensorHost,
    credentials: context.serverCredentials,
    onError: (error) => logger.error({ err: error }, 'handing out tensors'),
  });
  const limits = pictureLimits(config);
  const stage = new EncodeStage({
    bundle,
    encoder,
    pictures: { picture: async (imageId, signal) => decodePicture(await pictures.get(imageId, { signal }), limits) },
    tensors: {
      async find(key) {
        const owner = await directory.find(key);
        return owner === undefined ? undefined : { key, owner, cached: true };
      },
      async put(key, tensors) {
        await own.put(key, tensors);
        return { key, owner: own.owner, cached: false };
      },
    },
    onLookup: (hit) => metrics.cacheLookup('picture', hit),
  });
  return { process: stage.process, close: () => own.close({ graceMs: TENSOR_GRACE_MS }) };
}
