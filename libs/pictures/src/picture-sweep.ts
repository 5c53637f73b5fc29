import { startPeriodic, type Blobs, type Periodic } from '@segue/core';
import { KEYS, PREFIX, redisNowMs, type RedisConnection } from '@segue/redis';
import { readBlobName } from './blob-names.js';

/** String with a short lifetime: some gateway has swept. */
const SWEPT = `${PREFIX}:pictures-swept`;
const LONGEST_PAUSE_MS = 600_000;
const DELETED_AT_ONCE = 16;

export interface PictureSweepOptions {
  readonly keepMs: number;
  /** Time between two sweeps of all gateways together. */
  readonly everyMs?: number;
}

/**
 * Deletes from outside of Redis the bytes of pictures whose lifetime is over. Redis knows which live: anything else that is ours and was
 * written more than `keepMs` ago goes. Runs beside every gateway; one of them sweeps at a time.
 */
export function startPictureSweep(redis: RedisConnection, blobs: Blobs, options: PictureSweepOptions): Periodic {
  const { keepMs, everyMs = Math.min(keepMs, LONGEST_PAUSE_MS) } = options;
  return startPeriodic({
    everyMs,
    async run() {
      const mine = await redis.ask(() => redis.client.set(SWEPT, '', 'PX', Math.max(1, everyMs - 1), 'NX'));
      if (mine === null) return;
      const deleted = await sweep(redis, blobs, keepMs);
      if (deleted > 0) redis.log.info({ deleted, where: blobs.where }, 'pictures whose time was over are deleted');
    },
    onError: (error) =>
      redis.log.warn(
        { err: error, where: blobs.where },
        'pictures whose time is over could not be deleted; trying again',
      ),
  });
}

async function sweep(redis: RedisConnection, blobs: Blobs, keepMs: number): Promise<number> {
  const nowMs = await redisNowMs(redis);
  let deleted = 0;
  for await (const names of blobs.list()) {
    const old = names.flatMap((name) => {
      const found = readBlobName(name);
      return found && found.writtenAtMs + keepMs < nowMs ? { name, ...found } : [];
    });
    const living = await stampsOf(
      redis,
      old.map(({ imageId }) => imageId),
    );
    const dead = old.filter(({ stamp }, index) => stamp !== living[index]);
    for (let from = 0; from < dead.length; from += DELETED_AT_ONCE)
      await Promise.all(dead.slice(from, from + DELETED_AT_ONCE).map(({ name }) => blobs.delete(name)));
    deleted += dead.length;
  }
  return deleted;
}

/** Under which stamp the bytes of each picture lie; null for one whose lifetime is over, or whose record nobody can read. */
async function stampsOf({ client, ask }: RedisConnection, imageIds: readonly string[]): Promise<unknown[]> {
  // No pipeline: in a cluster they are at several nodes.
  return ask(() =>
    Promise.all(imageIds.map((imageId) => client.hget(KEYS.picture(imageId, client), 'blob').catch(orNone))),
  );
}

function orNone(error: Error): null {
  if (error.message.startsWith('WRONGTYPE')) return null;
  throw error;
}
