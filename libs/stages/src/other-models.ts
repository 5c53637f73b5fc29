import type { Bundle } from '@segue/bundle';
import { SegueError, type Stage } from '@segue/core';
import type { StageContexts } from './contexts.js';
import { digestOf } from './tensor-set.js';

/**
 * Refuses a task that needs another bundle than this worker's: of another name, or of the same name while an update rolls out
 * and workers of both versions take tasks. Tensors of one version mean nothing to the other.
 * @throws SegueError UNAVAILABLE; with reason TENSOR_GONE before any words are written, so that the picture is encoded again;
 * with reason OTHER_MODEL otherwise, so that another worker takes the task.
 */
export function refuseOtherModels(
  { manifest, digest }: Pick<Bundle, 'digest'> & { readonly manifest: { readonly name: string } },
  context: StageContexts[Stage],
): void {
  const asked = context.request.model;
  if (asked !== manifest.name) {
    throw new SegueError(
      'UNAVAILABLE',
      `The model "${asked}" is not served at the moment. Ask for "${manifest.name}", or try again later.`,
      { reason: 'OTHER_MODEL' },
    );
  }
  if (!('encoded' in context) || digestOf(context.encoded) === digest) return;
  throw new SegueError('UNAVAILABLE', 'The model is being updated. Try again in a moment.', {
    reason: 'prompt' in context ? 'OTHER_MODEL' : 'TENSOR_GONE',
  });
}
