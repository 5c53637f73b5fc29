import { createHash } from 'node:crypto';

import { SegueError } from '@segue/core';
import type { Redis } from 'ioredis';

import { KEYS } from './keys.js';
import { askRedis } from './redis.js';

export interface PictureSize {
  readonly width: number;
  readonly height: number;
}

export interface PictureStoreOptions {
  /** How long a picture is kept after its last use. */
  readonly keepMs: number;
}

/** Share of Redis' memory up to which pictures are taken. Redis evicts nothing, and without room for its writes no job can go on or end. */
const MOST_MEMORY = 0.7;
const RETRY_FULL_MS = 60_000;
const IMAGE_ID = /^[0-9a-f]{64}$/;

/** Pictures as they were sent, by the SHA-256 of their bytes. Every use renews their lifetime. */
export class PictureStore {
  constructor(
    private readonly redis: Redis,
    private readonly options: PictureStoreOptions,
  ) {}

  /**
   * @returns the image id. Storing the same bytes again only renews them.
   * @throws SegueError RESOURCE_EXHAUSTED when too much of Redis' memory is taken.
   */
  async put(bytes: Uint8Array, size: PictureSize): Promise<string> {
    const imageId = createHash('sha256').update(bytes).digest('hex');
    if (await this.size(imageId)) return imageId;
    await this.#checkRoom(bytes.byteLength);
    const key = KEYS.picture(imageId);
    await askRedis(() =>
      this.redis
        .multi()
        .hset(key, { bytes: Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength), ...size })
        .pexpire(key, this.options.keepMs)
        .exec()
        .then(throwFirstError),
    );
    return imageId;
  }

  /** @throws SegueError NOT_FOUND when the picture was never sent or its lifetime is over. */
  async get(imageId: string): Promise<Buffer> {
    const bytes =
      IMAGE_ID.test(imageId) && (await askRedis(() => this.redis.hgetBuffer(KEYS.picture(imageId), 'bytes')));
    if (!bytes)
      throw new SegueError('NOT_FOUND', 'There is no picture with this id (any more). Send the picture again.');
    await askRedis(() => this.redis.pexpire(KEYS.picture(imageId), this.options.keepMs));
    return bytes;
  }

  /** Size in pixels of a picture that is kept. */
  async size(imageId: string): Promise<PictureSize | undefined> {
    if (!IMAGE_ID.test(imageId)) return undefined;
    const [width, height] = await askRedis(() => this.redis.hmget(KEYS.picture(imageId), 'width', 'height'));
    if (!width || !height) return undefined;
    await askRedis(() => this.redis.pexpire(KEYS.picture(imageId), this.options.keepMs));
    return { width: Number(width), height: Number(height) };
  }

  async #checkRoom(bytes: number): Promise<void> {
    const memory = await askRedis(() => this.redis.info('memory'));
    const amount = (name: string) => Number(new RegExp(`^${name}:(\\d+)`, 'm').exec(memory)?.[1] ?? 0);
    const limit = amount('maxmemory'); // 0: none
    if (limit > 0 && amount('used_memory') + bytes > MOST_MEMORY * limit) {
      throw new SegueError('RESOURCE_EXHAUSTED', 'Too many pictures are kept at the moment. Try again in a minute.', {
        retryAfterMs: RETRY_FULL_MS,
      });
    }
  }
}

function throwFirstError(results: readonly [Error | null, unknown][] | null): void {
  const failed = results?.find(([error]) => error !== null);
  if (failed?.[0]) throw failed[0];
}
