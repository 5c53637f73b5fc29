import { createHash, webcrypto } from 'node:crypto';
import { PUBLIC_TENANT, type Tenant } from '@segue/core';
import type { PictureSize, PictureSizes } from '@segue/stages';

/** Pictures as they were sent, by their ids. Every use renews their lifetime. */
export interface PictureStore extends PictureSizes {
  /**
   * @returns the image id. Storing the same bytes again only renews them.
   * @throws SegueError RESOURCE_EXHAUSTED when the store or the tenant has no room, UNAVAILABLE when the store is away.
   */
  put(bytes: Uint8Array, size: PictureSize, options?: PutOptions): Promise<string>;
  /**
   * @throws SegueError NOT_FOUND when this tenant has never sent the picture, or its lifetime is over; UNAVAILABLE when the store is
   * away.
   */
  get(imageId: string, options?: GetOptions): Promise<Buffer>;
  /** As `get`, by what Redis holds alone. */
  sizeOf(imageId: string, tenant?: string): Promise<PictureSize>;
}

export interface PutOptions {
  /** Whose picture it is, and how many bytes it may keep; whoever need not say who it is, and any number, unless given. */
  readonly owner?: Tenant;
  /** Ends the wait for a store outside of Redis. */
  readonly signal?: AbortSignal;
}

export interface GetOptions {
  /** Who asks; a worker asks for any tenant's. */
  readonly tenant?: string;
  /** As with `put`. */
  readonly signal?: AbortSignal | undefined;
}

/** More are hashed in a thread, which costs a small picture more time than it saves; 25 MB take some 15 to 60 ms. */
const HASHED_HERE_BYTES = 2 ** 20;

/**
 * The id of a picture, 64 hexadecimal digits: the SHA-256 of its bytes or, of a tenant that has to say who it is, of its name
 * and that. What is computed of a picture is found by its id, so that no tenant is answered faster because another one sent
 * the same picture.
 */
export async function imageIdOf(bytes: Uint8Array, tenant: string = PUBLIC_TENANT): Promise<string> {
  const digest =
    bytes.byteLength <= HASHED_HERE_BYTES
      ? createHash('sha256').update(bytes).digest()
      : Buffer.from(await webcrypto.subtle.digest('SHA-256', bytes));
  if (tenant === PUBLIC_TENANT) return digest.toString('hex');
  return createHash('sha256').update(`${tenant}\0`).update(digest).digest('hex');
}
