import { createHash, randomBytes } from 'node:crypto';

import type { SegmentationRequest } from '@segue/core';

/** 32 hexadecimal digits; no colon, which BullMQ keeps for itself. */
const JOB_ID = /^[0-9a-f]{32}$/;

export function isJobId(text: string): boolean {
  return JOB_ID.test(text);
}

/** Derived from the idempotency key where there is one: the job itself is then the memory of the key. */
export function jobIdFor(tenant: string, idempotencyKey: string | undefined): string {
  if (idempotencyKey === undefined) return randomBytes(16).toString('hex');
  return sha256(JSON.stringify([tenant, idempotencyKey])).slice(0, 32);
}

/** Equal for equal requests, whatever the order of their fields. */
export function requestDigest(request: SegmentationRequest): string {
  const { imageId, instruction, history, mode, model, maxTokens, maskFormat, priority } = request;
  const turns = history.map((turn) => [turn.instruction, turn.answer]);
  return sha256(JSON.stringify([imageId, instruction, turns, mode, model, maxTokens, maskFormat, priority]));
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
