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
    const imageId = imageIdOf(bytes);
    if (await this.#find(imageId)) return imageId;
    await this.#checkRoom(bytes.byteLength);
    const { client, ask } = this.#redis;
    const key = KEYS.picture(imageId);
    const fields = { bytes: Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength), ...size };
    await ask(() => client.multi().hset(key, fields).pexpire(key, this.#keepMs).exec().then(throwFirstError));
    return imageId;
  }

  async get(imageId: string): Promise<Buffer> {
    const { client, ask } = this.#redis;
    const bytes = IMAGE_ID.test(imageId) && (await ask(() => client.hgetBuffer(KEYS.picture(imageId), 'bytes')));
    if (!bytes) throw pictureNotFound();
    await this.#renew(imageId);
    return bytes;
  }

  async sizeOf(imageId: string): Promise<PictureSize> {
    const size = await this.#find(imageId);
    if (size) return size;
    throw pictureNotFound();
  }

  async #find(imageId: string): Promise<PictureSize | undefined> {
    if (!IMAGE_ID.test(imageId)) return undefined;
    const { client, ask } = this.#redis;
    const [width, height] = await ask(() => client.hmget(KEYS.picture(imageId), 'width', 'height'));
    if (!width || !height) return undefined;
    await this.#renew(imageId);
    return { width: Number(width), height: Number(height) };
  }

  async #renew(imageId: string): Promise<void> {
    const { client, ask } = this.#redis;
    await ask(() => client.pexpire(KEYS.picture(imageId), this.#keepMs));
  }

  async #checkRoom(bytes: number): Promise<void> {
    const { client, ask } = this.#redis;
    const memory = await ask(() => client.info('memory'));
    const amount = (name: string) => Number(new RegExp(`^${name}:(\\d+)`, 'm').exec(memory)?.[1] ?? 0);
    const limit = amount('maxmemory'); // 0: none
    if (limit > 0 && amount('used_memory') + bytes > MOST_MEMORY * limit) {
      throw new SegueError('RESOURCE_EXHAUSTED', 'Too many pictures are kept at the moment. Try again in a minute.', {
        retryAfterMs: RETRY_FULL_MS,
      });
    }
  }
}

function pictureNotFound(): SegueError {
  return new SegueError('NOT_FOUND', 'There is no picture with this id (any more). Send the picture again.');
}

function throwFirstError(results: readonly [Error | null, unknown][] | null): void {
  const failed = results?.find(([error]) => error !== null);
  if (failed?.[0]) throw failed[0];
}
