import { expect, it } from 'vitest';
import { loadBundle } from '@segue/bundle';
import { preprocess } from '@segue/imaging';
import { openSessions } from '@segue/onnx';
import { TINY_BUNDLE_DIR } from '@segue/testing';
import { allGraphs, openModels } from './open-models.js';
import { Pipeline } from './pipeline.js';

it('opens what a pipeline runs over the sessions of a bundle', async () => {
  const bundle = await loadBundle(TINY_BUNDLE_DIR);
  const onFatal = (error: Error): void => {
    throw error;
  };
  const group = await openSessions(bundle, allGraphs(bundle.manifest), { threads: 1, hardLimitMs: 60_000, onFatal });
  const models = await openModels(bundle, group.sessions, { preprocess, prefixCacheBytes: 0 });
  const picture = { width: 48, height: 32, data: new Uint8Array(48 * 32 * 3).fill(99) };
  const request = { imageId: 'p', instruction: 'what?', history: [], mode: 'mask_only', maxTokens: 4 } as const;
  const answer = await new Pipeline(bundle, models).segment(picture, request);
  expect(answer.segments).toMatchObject([{ mask: { size: [32, 48] } }]);
  await models.languageModel.close();
  await group.close();
});
