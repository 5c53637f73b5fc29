import { randomBytes } from 'node:crypto';

/** Milliseconds since the epoch by Redis' clock, 12 hexadecimal digits, and 8 by chance. */
const STAMP = /^[0-9a-f]{20}$/;
const NAME = /^[0-9a-f]{2}\/([0-9a-f]{64})-(([0-9a-f]{12})[0-9a-f]{8})(-[0-9a-f-]+)?$/;

/** What tells one writing of a picture's bytes from all others. */
export function newStamp(nowMs: number): string {
  return nowMs.toString(16).padStart(12, '0') + randomBytes(4).toString('hex');
}

/** Where bytes lie outside of Redis. No two writings share a name, so that what is swept cannot come to life meanwhile. */
export function blobName(imageId: string, stamp: string): string | undefined {
  return STAMP.test(stamp) ? `${imageId.slice(0, 2)}/${imageId}-${stamp}` : undefined;
}

/** What a name says; undefined for one that is not ours. Whoever dies while writing leaves one that nothing refers to. */
export function readBlobName(
  name: string,
): { readonly imageId: string; readonly stamp: string; readonly writtenAtMs: number } | undefined {
  const [, imageId = '', stamp = '', time = '', rest = ''] = NAME.exec(name) ?? [];
  if (imageId === '') return undefined;
  return { imageId, stamp: stamp + rest, writtenAtMs: Number.parseInt(time, 16) };
}
