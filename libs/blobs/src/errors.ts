import { LOST_CODES, storeAway, storeFull } from '@segue/core';

/** Errors of the system and of connections that pass with time. */
const PASSING = new Set([...LOST_CODES, 'EBUSY', 'EHOSTDOWN', 'EIO', 'EMFILE', 'ENFILE', 'ENOTCONN', 'ESTALE']);
const FULL = new Set(['ENOSPC', 'EDQUOT']);

export function codeOf(error: unknown): string {
  return String((error as { readonly code?: unknown } | undefined)?.code ?? '');
}

/** What an error of the system or of a connection means; itself where it does not pass with time. */
export function systemError(error: unknown): unknown {
  if (FULL.has(codeOf(error))) return storeFull('pictures', error);
  return PASSING.has(codeOf(error)) ? storeAway(error) : error;
}
