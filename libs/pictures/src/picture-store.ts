import { createHash, webcrypto } from 'node:crypto';
import type { PictureSize, PictureSizes } from '@segue/stages';

/** Pictures as they were sent, by the SHA-256 of their bytes in hex. Every use renews their lifetime. */
export interface PictureStore extends PictureSizes {
  /**
   * @returns the image id. Storing the same bytes again only renews them.
   * @throws SegueError RESOURCE_EXHAUSTED when the store has no room.
   */
  put(bytes: Uint8Array, size: PictureSize): Promise<string>;
  /** @throws SegueError NOT_FOUND when the picture was never sent or its lifetime is over. */
  get(imageId: string): Promise<Buffer>;
}

/** More are hashed in a thread, which costs a small picture more time than it saves; 25 MB take some 15 to 60 ms. */
const HASHED_HERE_BYTES = 2 ** 20;

/** The id of a picture: the SHA-256 of its bytes, hex. */
export async function imageIdOf(bytes: Uint8Array): Promise<string> {
  if (bytes.byteLength <= HASHED_HERE_BYTES) return createHash('sha256').update(bytes).digest('hex');
  return Buffer.from(await webcrypto.subtle.digest('SHA-256', bytes)).toString('hex');
}

export interface PictureStoreOptions {
  /** How long a picture is kept after its last use. */
  readonly keepMs: number;
}
