import { createHash } from 'node:crypto';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { openSessions } from '@segue/onnx';
import { allGraphs, openModels, Pipeline } from '@segue/pipeline';
import type { Source } from './source.js';

const PREFIX_CACHE_BYTES = 64 * 1024 * 1024;
/** A run that takes longer hangs. */
const HARD_LIMIT_MS = 300_000;
/** More threads than these bring little for graphs of this size. */
const MAX_THREADS = 4;

/** The model of a bundle in this process: no service, no Redis. */
export async function inThisProcess(options: { readonly models: string; readonly model: string }): Promise<Source> {
  const [{ loadBundle }, imaging] = await Promise.all([import('@segue/bundle'), import('@segue/imaging')]);
  const bundle = await loadBundle(join(options.models, options.model));
  const { manifest } = bundle;
  const group = await openSessions(bundle, allGraphs(manifest), {
    threads: Math.min(MAX_THREADS, availableParallelism()),
    hardLimitMs: HARD_LIMIT_MS,
    onFatal: (error) => {
      throw error;
    },
  });
  const { preprocess } = imaging;
  const models = await openModels(bundle, group.sessions, { preprocess, prefixCacheBytes: PREFIX_CACHE_BYTES });
  const pipeline = new Pipeline(bundle, models);
  const { maxNewTokens: maxTokens } = manifest.language.limits;
  return {
    async ask(image, instruction, onEvent) {
      const picture = await imaging.decodePicture(image, imaging.DEFAULT_PICTURE_LIMITS);
      const imageId = createHash('sha256').update(image).digest('hex');
      const request = { imageId, instruction, history: [], mode: 'answer', maxTokens } as const;
      const answer = await pipeline.segment(picture, request, { onEvent });
      return { answer, width: picture.width, height: picture.height };
    },
    async close() {
      await models.languageModel.close();
      await group.close();
    },
  };
}
