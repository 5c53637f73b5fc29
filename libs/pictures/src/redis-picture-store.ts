import { PUBLIC_TENANT, SegueError, type Tenant } from '@segue/core';
import { KEYS, PictureScripts, type RedisConnection } from '@segue/redis';
import type { PictureSize } from '@segue/stages';
import { imageIdOf, type PictureStore, type PictureStoreOptions } from './picture-store.js';

/** Share of Redis' memory up to which pictures are taken. Redis evicts nothing, and without room for its writes no job can go on or end. */
const MOST_MEMORY = 0.7;
const RETRY_FULL_MS = 60_000;
const IMAGE_ID = /^[0-9a-f]{64}$/;

/** Pictures in Redis. */
export class RedisPictureStore implements PictureStore {
  readonly #redis: RedisConnection;
  readonly #scripts: PictureScripts;
  readonly #keepMs: number;

  constructor(redis: RedisConnection, { keepMs }: PictureStoreOptions) {
    this.#redis = redis;
    this.#scripts = new PictureScripts(redis);
    this.#keepMs = keepMs;
  }

  async put(bytes: Uint8Array, size: PictureSize, owner: Tenant = ANYBODY): Promise<string> {
    const tenant = owner.name;
    const imageId = await imageIdOf(bytes, tenant);
    // Both questions go at once: a new picture is the usual one.
    const [found, room] = await Promise.all([this.#find(imageId, tenant), this.#room()]);
    if (found) return imageId;
    if (bytes.byteLength > room) {
      throw new SegueError('RESOURCE_EXHAUSTED', 'Too many pictures are kept at the moment. Try again in a minute.', {
        retryAfterMs: RETRY_FULL_MS,
      });
    }
    const counted = await this.#reserve(imageId, bytes.byteLength, owner);
    const { client, ask } = this.#redis;
    const key = KEYS.picture(imageId);
    const content = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const fields = { bytes: content, ...size, tenant, ...counted };
    await ask(() => client.multi().hset(key, fields).pexpire(key, this.#keepMs).exec().then(resultsOf));
    return imageId;
  }

  async get(imageId: string, tenant?: string): Promise<Buffer> {
    if (!IMAGE_ID.test(imageId)) throw pictureNotFound();
    const { client, ask } = this.#redis;
    const key = KEYS.picture(imageId);
    const [found] = await ask(() =>
      client
        .pipeline()
        .hmgetBuffer(key, 'bytes', 'tenant', 'countedIn')
        .pexpire(key, this.#keepMs)
        .exec()
        .then(resultsOf),
    );
    const [bytes, owner, countedIn] = found as (Buffer | null)[];
    if (!bytes || !isSeenBy(tenant, owner?.toString())) throw pictureNotFound();
    if (countedIn) await this.#scripts.renew(imageId, this.#keepMs);
    return bytes;
  }

  async sizeOf(imageId: string, tenant?: string): Promise<PictureSize> {
    const size = await this.#find(imageId, tenant);
    if (size) return size;
    throw pictureNotFound();
  }

  /** Bytes of the tenant's pictures that are kept, where these are limited. */
  async storedBytes({ name, limits }: Tenant): Promise<number | undefined> {
    return limits.pictureBytes === undefined ? undefined : this.#scripts.stored(name);
  }

  async #find(imageId: string, tenant: string | undefined): Promise<PictureSize | undefined> {
    if (!IMAGE_ID.test(imageId)) return undefined;
    const { client, ask } = this.#redis;
    const key = KEYS.picture(imageId);
    const [found] = await ask(() =>
      client
        .pipeline()
        .hmget(key, 'width', 'height', 'tenant', 'countedIn')
        .pexpire(key, this.#keepMs)
        .exec()
        .then(resultsOf),
    );
    const [width, height, owner, countedIn] = found as (string | null)[];
    if (!width || !height || !isSeenBy(tenant, owner)) return undefined;
    if (countedIn) await this.#scripts.renew(imageId, this.#keepMs);
    return { width: Number(width), height: Number(height) };
  }

  /** Counts the picture with those of its tenant, where that has a limit. */
  async #reserve(
    imageId: string,
    bytes: number,
    { name, limits: { pictureBytes: maxBytes } }: Tenant,
  ): Promise<{ readonly countedIn?: string }> {
    if (maxBytes === undefined) return {};
    const reserved = await this.#scripts.reserve(name, imageId, { bytes, keepMs: this.#keepMs, maxBytes });
    if ('countedIn' in reserved) return reserved;
    throw new SegueError(
      'RESOURCE_EXHAUSTED',
      `Your pictures would take more than the ${maxBytes} bytes that you may keep. A picture goes some time after its last use.`,
      { retryAfterMs: Math.max(1_000, reserved.freeAfterMs) },
    );
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

const ANYBODY: Tenant = { name: PUBLIC_TENANT, limits: {} };

function isSeenBy(tenant: string | undefined, owner: string | null = PUBLIC_TENANT): boolean {
  return tenant === undefined || tenant === (owner ?? PUBLIC_TENANT);
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
