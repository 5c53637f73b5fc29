import { SegueError } from '@segue/core';

const RETRY_AFTER_MS = 2_000;
const RETRY_FULL_MS = 60_000;

/** The store does not answer, or is asked for too much: what is said again later may succeed. */
export function storeAway(cause: unknown): SegueError {
  return new SegueError('UNAVAILABLE', 'The service cannot take requests at the moment. Try again in a few seconds.', {
    reason: 'STORE_AWAY',
    retryAfterMs: RETRY_AFTER_MS,
    cause,
  });
}

export function storeFull(cause: unknown): SegueError {
  return new SegueError('RESOURCE_EXHAUSTED', 'Too many pictures are kept at the moment. Try again in a minute.', {
    retryAfterMs: RETRY_FULL_MS,
    cause,
  });
}

export function isAway(error: unknown): boolean {
  return error instanceof SegueError && error.reason === 'STORE_AWAY';
}

/** Errors of the system and of connections that pass with time. */
const PASSING = new Set([
  'EAI_AGAIN',
  'EBUSY',
  'ECONNABORTED',
  'ECONNREFUSED',
  'ECONNRESET',
  'EHOSTDOWN',
  'EHOSTUNREACH',
  'EIO',
  'EMFILE',
  'ENETUNREACH',
  'ENFILE',
  'ENOTCONN',
  'ENOTFOUND',
  'EPIPE',
  'ESTALE',
  'ETIMEDOUT',
]);

const FULL = new Set(['ENOSPC', 'EDQUOT']);

export function codeOf(error: unknown): string {
  return String((error as { readonly code?: unknown } | undefined)?.code ?? '');
}

/** What an error of the system or of a connection means; itself where it does not pass with time. */
export function systemError(error: unknown): unknown {
  if (FULL.has(codeOf(error))) return storeFull(error);
  return PASSING.has(codeOf(error)) ? storeAway(error) : error;
}
