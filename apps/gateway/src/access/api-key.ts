import { createHash, randomBytes } from 'node:crypto';

const PREFIX = 'segue_';

/** A new key: 256 random bits, with a prefix by which scanners find keys that were published by mistake. */
export function newApiKey(): string {
  return PREFIX + randomBytes(32).toString('base64url');
}

/**
 * What is kept of a key: its SHA-256 in hex. Keys are random and long, so that no slow hash is needed; and since digests are
 * compared, the time that a comparison takes says nothing of a key.
 */
export function digestOfKey(key: string): string {
  return createHash('sha256').update(key).digest('hex');
}
