import { describe, expect, it } from 'vitest';
import type { StageContexts } from './contexts.js';
import { refuseOtherModels } from './other-models.js';

const bundle = { manifest: { name: 'smol' }, digest: 'new' };

function context(model: string, digest?: string, prompt?: object) {
  const encoded = digest && { key: `${digest}/picture`, owner: 'here', cached: false };
  return {
    request: { model },
    ...(encoded && { encoded }),
    ...(prompt && { prompt }),
  } as unknown as StageContexts['decode'];
}

function refusal(...task: Parameters<typeof context>): unknown {
  try {
    refuseOtherModels(bundle, context(...task));
    return undefined;
  } catch (error) {
    return error;
  }
}

describe('refuseOtherModels', () => {
  it('lets tasks of the own bundle pass', () => {
    expect(refusal('smol')).toBeUndefined();
    expect(refusal('smol', 'new')).toBeUndefined();
    expect(refusal('smol', 'new', {})).toBeUndefined();
  });

  it('refuses another name', () => {
    expect(refusal('large', 'new')).toMatchObject({ code: 'UNAVAILABLE', reason: 'OTHER_MODEL' });
  });

  it('has a picture of another version encoded again', () => {
    expect(refusal('smol', 'old')).toMatchObject({ code: 'UNAVAILABLE', reason: 'TENSOR_GONE' });
  });

  it('makes no mask of the words of another version', () => {
    expect(refusal('smol', 'old', {})).toMatchObject({ code: 'UNAVAILABLE', reason: 'OTHER_MODEL' });
  });
});
