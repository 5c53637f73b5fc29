import { create } from '@bufbuild/protobuf';
import * as v1 from '@segue/contracts';
import type { Mode, Priority, Turn } from '@segue/core';

/** A question about a picture; what is left out takes the service's default. */
export interface SegmentInput {
  /** The bytes of a JPEG, PNG or WebP file, or the `imageId` of a picture that was sent before. */
  readonly picture: Uint8Array | { readonly imageId: string };
  readonly instruction: string;
  /** Earlier turns about this picture, oldest first. */
  readonly history?: readonly Turn[];
  readonly mode?: Mode;
  /** Name of a model. */
  readonly model?: string;
  readonly maxTokens?: number;
  readonly priority?: Priority;
  /** Time allowed for the whole job, in milliseconds. */
  readonly timeoutMs?: number;
  readonly idempotencyKey?: string;
}

const MODES = { answer: v1.Mode.ANSWER, mask_only: v1.Mode.MASK_ONLY };
const PRIORITIES = { low: v1.Priority.LOW, normal: v1.Priority.NORMAL, high: v1.Priority.HIGH };

export function requestMessage(input: SegmentInput): v1.SegmentRequest {
  const { picture } = input;
  return create(v1.SegmentRequestSchema, {
    picture:
      picture instanceof Uint8Array ? { case: 'image', value: picture } : { case: 'imageId', value: picture.imageId },
    instruction: input.instruction,
    history: (input.history ?? []).map(({ instruction, answer }) => ({ instruction, answer })),
    mode: MODES[input.mode ?? 'answer'],
    model: input.model ?? '',
    maxTokens: input.maxTokens ?? 0,
    maskFormat: v1.MaskFormat.RLE,
    priority: PRIORITIES[input.priority ?? 'normal'],
    timeoutMs: BigInt(input.timeoutMs ?? 0),
    idempotencyKey: input.idempotencyKey ?? '',
  });
}
