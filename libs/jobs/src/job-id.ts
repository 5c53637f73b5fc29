import { createHash, randomBytes } from 'node:crypto';
import type { SegmentationRequest } from '@segue/core';

/** 32 hexadecimal digits; no colon, which BullMQ keeps for itself. */
const JOB_ID = /^[0-9a-f]{32}$/;

export function isJobId(text: string): boolean {
  return JOB_ID.test(text);
}

/** Random: an id that is not told cannot be guessed, whatever is known of the request. */
export function newJobId(): string {
  return randomBytes(16).toString('hex');
}

/** What an idempotency key is remembered by; empty without one. */
export function idempotencyDigest(tenant: string, key: string | undefined): string {
  return key === undefined ? '' : sha256(JSON.stringify([tenant, key]));
}

/** Equal for equal requests, whatever the order of their fields. */
export function requestDigest(request: SegmentationRequest): string {
  const { imageId, instruction, history, mode, model, maxTokens, maskFormat, polygonTolerance, priority } = request;
  const turns = history.map((turn) => [turn.instruction, turn.answer]);
  return sha256(
    JSON.stringify([imageId, instruction, turns, mode, model, maxTokens, maskFormat, priority, polygonTolerance]),
  );
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
