import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { SCHEMAS } from '../http/schemas.js';
import { toModelBody, toModelHead } from '../http/json.js';
import { toWireModel } from '../grpc/messages.js';
import { ModelCatalogue } from './model-catalogue.js';

const MODELS = fileURLToPath(new URL('../../../../models', import.meta.url));

it('says what a model knows, and nothing of one whose maker says nothing', async () => {
  const smol = (await ModelCatalogue.load(MODELS, 'segue-smol')).get(undefined);
  expect(smol.knowledge).toMatchObject({ languages: ['English'], limits: expect.arrayContaining([expect.any(String)]) });
  expect(smol.knowledge?.kinds).toHaveLength(80);
  expect(toWireModel(smol, []).knowledge).toMatchObject(smol.knowledge ?? {});
  const tiny = (await ModelCatalogue.load(MODELS, 'tiny-random')).get(undefined);
  expect([tiny.knowledge, toWireModel(tiny, []).knowledge]).toEqual([undefined, undefined]);
  const { models } = SCHEMAS.Models.parse({
    models: [toModelBody(smol, []), toModelBody(tiny, [])],
    object: 'list',
    data: [smol, tiny].map(toModelHead),
  });
  expect(models.map(({ knowledge }) => knowledge)).toEqual([smol.knowledge, undefined]);
});
