import { SegueError } from '@segue/core';
import { KEYS, type RedisConnection } from '@segue/redis';
import type { PictureSize } from '@segue/stages';
import { imageIdOf, type PictureStore, type PictureStoreOptions } from './picture-store.js';

/** Share of Redis' memory up to which pictures are taken. Redis evicts nothing, and without room for its writes no job can go on or end. */
const MOST_MEMORY = 0.7;
const RETRY_FULL_MS = 60_000;
const IMAGE_ID = /^[0-9a-f]{64}$/;

/** Pictures in Redis. */
export class RedisPictureStore implements PictureStore {
  readonly #redis: RedisConnection;
  readonly #keepMs: number;

  constructor(redis: RedisConnection, { keepMs }: PictureStoreOptions) {
    this.#redis = redis;
    this.#keepMs = keepMs;
  }

  async put(bytes: Uint8Array, size: PictureSize): Promise<string> {
    const imageId = await imageIdOf(bytes);
    // Both questions go at once: a new picture is the usual one.
    const [found, room] = await Promise.all([this.#find(imageId), this.#room()]);
    if (found) return imageId;
    if (bytes.byteLength > room) {
      throw new SegueError('RESOURCE_EXHAUSTED', 'Too many pictures are kept at the moment. Try again in a minute.', {
        retryAfterMs: RETRY_FULL_MS,
      });
    }
    const { client, ask } = this.#redis;
    const key = KEYS.picture(imageId);
    const fields = { bytes: Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength), ...size };
    await ask(() => client.multi().hset(key, fields).pexpire(key, this.#keepMs).exec().then(resultsOf));
    return imageId;
  }

  async get(imageId: string): Promise<Buffer> {
    const { client, ask } = this.#redis;
    if (!IMAGE_ID.test(imageId)) throw pictureNotFound();
    const key = KEYS.picture(imageId);
    const [bytes] = await ask(() =>
      client.pipeline().hgetBuffer(key, 'bytes').pexpire(key, this.#keepMs).exec().then(resultsOf),
    );
    if (bytes instanceof Buffer) return bytes;
    throw pictureNotFound();
  }

  async sizeOf(imageId: string): Promise<PictureSize> {
    const size = await this.#find(imageId);
    if (size) return size;
    throw pictureNotFound();
  }

  async #find(imageId: string): Promise<PictureSize | undefined> {
    if (!IMAGE_ID.test(imageId)) return undefined;
    const { client, ask } = this.#redis;
    const key = KEYS.picture(imageId);
    const [found] = await ask(() =>
      client.pipeline().hmget(key, 'width', 'height').pexpire(key, this.#keepMs).exec().then(resultsOf),
    );
    const [width, height] = found as (string | null)[];
    return width && height ? { width: Number(width), height: Number(height) } : undefined;
  }

  /** Bytes that may be stored. */
  async #room(): Promise<number> {
    const { client, ask } = this.#redis;
    const memory = await ask(() => client.info('memory'));
    const amount = (name: string) => Number(new RegExp(`^${name}:(\\d+)`, 'm').exec(memory)?.[1] ?? 0);
    const limit = amount('maxmemory'); // 0: none
    return limit === 0 ? Infinity : MOST_MEMORY * limit - amount('used_memory');
  }
}

function pictureNotFound(): SegueError {
  return new SegueError('NOT_FOUND', 'There is no picture with this id (any more). Send the picture again.');
}

/** What commands that were sent together gave. @throws the first of their errors. */
function resultsOf(results: readonly [Error | null, unknown][] | null): unknown[] {
  return (results ?? []).map(([error, result]) => {
    if (error) throw error;
    return result;
  });
}
