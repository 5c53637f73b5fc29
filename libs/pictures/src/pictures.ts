import { PUBLIC_TENANT, SegueError, storeFull, type Blobs, type Tenant } from '@segue/core';
import { KEYS, PictureScripts, redisNowMs, redisRoom, type RedisConnection } from '@segue/redis';
import type { PictureSize } from '@segue/stages';
import { blobName, newStamp } from './blob-names.js';
import { imageIdOf, type GetOptions, type PictureStore, type PutOptions } from './picture-store.js';

const IMAGE_ID = /^[0-9a-f]{64}$/;
/** What Redis needs for a picture besides its bytes. */
const RECORD_BYTES = 1_024;

export interface PicturesOptions {
  /** How long a picture is kept after its last use. */
  readonly keepMs: number;
  /** Where the bytes of new pictures go; into Redis where there is nothing else. */
  readonly blobs?: Blobs | undefined;
}

/**
 * Pictures. Redis knows of each whose it is, its size and how long it lives, and counts what tenants keep; the bytes lie there,
 * too, or elsewhere, written once under a name that only Redis knows.
 */
export class Pictures implements PictureStore {
  readonly #redis: RedisConnection;
  readonly #scripts: PictureScripts;
  readonly #keepMs: number;
  readonly #blobs: Blobs | undefined;

  constructor(redis: RedisConnection, { keepMs, blobs }: PicturesOptions) {
    this.#redis = redis;
    this.#scripts = new PictureScripts(redis);
    this.#keepMs = keepMs;
    this.#blobs = blobs;
  }

  async put(bytes: Uint8Array, size: PictureSize, { owner = ANYBODY, signal }: PutOptions = {}): Promise<string> {
    const tenant = owner.name;
    const imageId = await imageIdOf(bytes, tenant);
    // All questions go at once: a new picture is the usual one.
    const [found, room, nowMs] = await Promise.all([
      this.#find(imageId, tenant),
      redisRoom(this.#redis, KEYS.picture(imageId, this.#redis.client)),
      this.#blobs ? redisNowMs(this.#redis) : 0,
    ]);
    // Where bytes go to Redis, nobody here could read them from elsewhere.
    if (found && (this.#blobs || !found.blob)) return imageId;
    if (RECORD_BYTES + (this.#blobs ? 0 : bytes.byteLength) > room) throw storeFull('pictures');
    const counted = await this.#reserve(imageId, bytes.byteLength, owner);
    try {
      const content = await this.#write(imageId, bytes, nowMs, signal);
      const { client, ask } = this.#redis;
      const key = KEYS.picture(imageId, client);
      const fields = { ...content, ...size, tenant, ...counted };
      await ask(() => client.multi().hset(key, fields).pexpire(key, this.#keepMs).exec().then(resultsOf));
    } catch (error) {
      const { countedIn } = counted;
      // What is never stored must not count for as long as if it were.
      if (countedIn !== undefined) await this.#releaseUnlessThere(imageId, countedIn).catch(() => undefined);
      throw error;
    }
    return imageId;
  }

  async get(imageId: string, { tenant, signal }: GetOptions = {}): Promise<Buffer> {
    if (!IMAGE_ID.test(imageId)) throw pictureNotFound();
    const { client, ask } = this.#redis;
    const key = KEYS.picture(imageId, client);
    const [found] = await ask(() =>
      client
        .pipeline()
        .hmgetBuffer(key, 'bytes', 'blob', 'tenant', 'countedIn')
        .pexpire(key, this.#keepMs)
        .exec()
        .then(resultsOf),
    );
    const [bytes, stamp, owner, countedIn] = found as (Buffer | null)[];
    if (!(bytes || stamp) || !isSeenBy(tenant, owner?.toString())) throw pictureNotFound();
    if (countedIn) await this.#scripts.renew(String(countedIn), imageId, this.#keepMs);
    return bytes ?? this.#read(imageId, String(stamp), owner?.toString(), signal);
  }

  async sizeOf(imageId: string, tenant?: string): Promise<PictureSize> {
    const found = await this.#find(imageId, tenant);
    if (!found) throw pictureNotFound();
    return { width: found.width, height: found.height };
  }

  /** Bytes of the tenant's pictures that are kept, where these are limited. */
  async storedBytes({ name, limits }: Tenant): Promise<number | undefined> {
    return limits.pictureBytes === undefined ? undefined : this.#scripts.stored(name);
  }

  async #find(
    imageId: string,
    tenant: string | undefined,
  ): Promise<(PictureSize & { readonly blob: boolean }) | undefined> {
    if (!IMAGE_ID.test(imageId)) return undefined;
    const { client, ask } = this.#redis;
    const key = KEYS.picture(imageId, client);
    const [found] = await ask(() =>
      client
        .pipeline()
        .hmget(key, 'width', 'height', 'tenant', 'countedIn', 'blob')
        .pexpire(key, this.#keepMs)
        .exec()
        .then(resultsOf),
    );
    const [width, height, owner, countedIn, blob] = found as (string | null)[];
    if (!width || !height || !isSeenBy(tenant, owner)) return undefined;
    if (countedIn) await this.#scripts.renew(String(countedIn), imageId, this.#keepMs);
    return { width: Number(width), height: Number(height), blob: Boolean(blob) };
  }

  /** Puts the bytes where they belong. @returns what the record says of them. */
  async #write(imageId: string, bytes: Uint8Array, nowMs: number, signal: AbortSignal | undefined) {
    const content = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    if (!this.#blobs) return { bytes: content };
    const blob = newStamp(nowMs);
    await this.#blobs.put(blobName(imageId, blob) ?? '', content, signal);
    return { blob };
  }

  /** Two steps, for in a cluster the picture is elsewhere: one that somebody else stores in between lives on uncounted. */
  async #releaseUnlessThere(imageId: string, countedIn: string): Promise<void> {
    const { client, ask } = this.#redis;
    if ((await ask(() => client.exists(KEYS.picture(imageId, client)))) === 1) return;
    await this.#scripts.release(countedIn, imageId);
  }

  async #read(
    imageId: string,
    stamp: string,
    owner: string | undefined,
    signal: AbortSignal | undefined,
  ): Promise<Buffer> {
    if (!this.#blobs) {
      throw new SegueError('UNAVAILABLE', 'The service cannot read this picture at the moment. Try again later.', {
        cause: new Error('its bytes are not in Redis: SEGUE_PICTURE_STORE must be here what it is at the gateways'),
      });
    }
    const name = blobName(imageId, stamp);
    const bytes = name === undefined ? undefined : await this.#blobs.get(name, signal);
    if (bytes && (await imageIdOf(bytes, owner)) === imageId) return bytes;
    const problem = bytes
      ? 'the bytes of a picture are damaged'
      : 'the bytes of a picture are gone: is SEGUE_PICTURE_STORE the same at all gateways and encoder-workers?';
    this.#redis.log.warn({ imageId, where: this.#blobs.where }, problem);
    // So that it is stored when it is sent again.
    await this.#scripts.forget(imageId, stamp);
    throw pictureNotFound();
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
