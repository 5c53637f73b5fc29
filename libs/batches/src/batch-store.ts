import { randomBytes } from 'node:crypto';
import { SegueError, storeFull } from '@segue/core';
import { defineScript, KEYS, NOW_LUA, redisNowMs, redisRoom, type RedisConnection } from '@segue/redis';
import { errorFileId, hasEnded, outputFileId, type Batch, type BatchFile, type BatchStatus } from './batch.js';

const MAX_LISTED = 1_000;
const RESULT_FILE = /^file-(batch_[0-9a-f]{32})-(output|errors)$/;

/** A batch that this process works on until its lease ends. */
const CLAIM = `${NOW_LUA}
local at = now()
local due = redis.call('ZRANGEBYSCORE', KEYS[1], 0, at, 'LIMIT', 0, 1)
if #due == 0 then return false end
redis.call('ZADD', KEYS[1], at + ARGV[1], due[1])
return due[1]
`;

/** Keeps a claimed batch for longer. */
const RENEW = `${NOW_LUA}
return redis.call('ZADD', KEYS[1], 'XX', 'CH', now() + ARGV[1], ARGV[2])
`;

/** Writes the result of a line (ARGV: its number, the counter, the result), the first time that it comes. */
const RECORD = `
if redis.call('SADD', KEYS[2], ARGV[1]) == 0 then return 0 end
redis.call('RPUSH', KEYS[3], ARGV[3])
redis.call('HINCRBY', KEYS[1], ARGV[2], 1)
local left = redis.call('PTTL', KEYS[1])
redis.call('PEXPIRE', KEYS[2], left)
redis.call('PEXPIRE', KEYS[3], left)
return 1
`;

/** Changes the status (ARGV[1]), unless the batch has ended; ARGV[2] is 1 where this is its end. */
const MOVE = `${NOW_LUA}
local status = redis.call('HGET', KEYS[1], 'status')
if status ~= 'in_progress' and status ~= 'cancelling' then return 0 end
redis.call('HSET', KEYS[1], 'status', ARGV[1])
if ARGV[2] == '1' then redis.call('HSET', KEYS[1], 'endedAtMs', now()) end
return 1
`;

export interface BatchStoreOptions {
  /** How long files and batches are kept. */
  readonly keepMs: number;
}

/** Batches and their files in Redis, by its clock; each tenant sees its own. */
export class BatchStore {
  readonly #redis: RedisConnection;
  readonly #keepMs: number;
  readonly #scripts;

  constructor(redis: RedisConnection, { keepMs }: BatchStoreOptions) {
    this.#redis = redis;
    this.#keepMs = keepMs;
    this.#scripts = {
      claim: defineScript(redis, 'segueClaimBatch', CLAIM),
      renew: defineScript(redis, 'segueRenewBatch', RENEW),
      record: defineScript(redis, 'segueRecordLine', RECORD),
      move: defineScript(redis, 'segueMoveBatch', MOVE),
    };
  }

  /** Keeps a file of questions. @throws SegueError RESOURCE_EXHAUSTED where there is no room for it. */
  async putFile(tenant: string, filename: string, content: Buffer): Promise<BatchFile> {
    const id = `file-${randomBytes(16).toString('hex')}`;
    const createdAtMs = await redisNowMs(this.#redis);
    const file: BatchFile = { id, filename, bytes: content.byteLength, createdAtMs, purpose: 'batch' };
    const key = KEYS.batchFile(id);
    if (content.byteLength > (await redisRoom(this.#redis, key))) throw storeFull('pictures and files');
    await this.#ask((redis) =>
      Promise.all([redis.hset(key, { tenant, file: JSON.stringify(file), content }), redis.pexpire(key, this.#keepMs)]),
    );
    return file;
  }

  /** @throws SegueError NOT_FOUND */
  async file(tenant: string, id: string): Promise<BatchFile> {
    const batch = await this.#batchOfFile(tenant, id);
    if (batch) {
      const content = await this.content(tenant, id);
      const filename = `${id}.jsonl`;
      return { id, filename, bytes: content.byteLength, createdAtMs: batch.createdAtMs, purpose: 'batch_output' };
    }
    const [owner, file] = await this.#ask((redis) => redis.hmget(KEYS.batchFile(id), 'tenant', 'file'));
    if (owner !== tenant || typeof file !== 'string') throw noFile();
    return JSON.parse(file) as BatchFile;
  }

  /** A file's lines. @throws SegueError NOT_FOUND */
  async content(tenant: string, id: string): Promise<Buffer> {
    const batch = await this.#batchOfFile(tenant, id);
    if (batch) {
      const lines = await this.#ask((redis) => redis.lrange(KEYS.batchLines(batch.id, id), 0, -1));
      return Buffer.from(lines.map((line) => `${line}\n`).join(''));
    }
    await this.file(tenant, id);
    const content = await this.#ask((redis) => redis.hgetBuffer(KEYS.batchFile(id), 'content'));
    if (!content) throw noFile();
    return content;
  }

  /** Begins to answer a file's questions. */
  async create(
    tenant: string,
    { inputFileId, endpoint, metadata }: Pick<Batch, 'inputFileId' | 'endpoint' | 'metadata'>,
    total: number,
  ): Promise<Batch> {
    const nowMs = await redisNowMs(this.#redis);
    const batch: Batch = {
      id: `batch_${randomBytes(16).toString('hex')}`,
      tenant,
      inputFileId,
      endpoint,
      status: 'in_progress',
      createdAtMs: nowMs,
      expiresAtMs: nowMs + this.#keepMs,
      counts: { total, completed: 0, failed: 0 },
      metadata,
    };
    const { id, status, counts, ...head } = batch;
    const [key, list] = [KEYS.batch(id), KEYS.batchesOf(tenant)];
    await this.#ask((redis) =>
      Promise.all([
        redis.hset(key, { head: JSON.stringify(head), status, total: counts.total, completed: 0, failed: 0 }),
        // A batch of which little time is left must still be read.
        redis.pexpire(key, this.#keepMs),
        redis.pexpire(KEYS.batchFile(inputFileId), this.#keepMs),
        redis.zadd(list, nowMs, id),
        redis.zremrangebyrank(list, 0, -1 - MAX_LISTED),
        redis.pexpire(list, this.#keepMs),
      ]),
    );
    await this.#ask((redis) => redis.zadd(KEYS.openBatches, 0, id));
    return batch;
  }

  /** @throws SegueError NOT_FOUND */
  async get(tenant: string, id: string): Promise<Batch> {
    const batch = await this.find(id);
    if (batch?.tenant === tenant) return batch;
    throw new SegueError(
      'NOT_FOUND',
      'There is no batch with this id. Check the id; batches are kept for a limited time.',
    );
  }

  /** Of whomever. */
  async find(id: string): Promise<Batch | undefined> {
    const { head, status, total, completed, failed, endedAtMs } = await this.#ask((redis) =>
      redis.hgetall(KEYS.batch(id)),
    );
    if (head === undefined || status === undefined) return undefined;
    return {
      id,
      ...(JSON.parse(head) as Omit<Batch, 'id' | 'status' | 'counts'>),
      status: status as BatchStatus,
      counts: { total: Number(total), completed: Number(completed), failed: Number(failed) },
      ...(endedAtMs !== undefined && { endedAtMs: Number(endedAtMs) }),
    };
  }

  /** The newest first. @param after id of a batch: only those that are older. */
  async list(tenant: string, limit: number, after?: string): Promise<Batch[]> {
    const ids = await this.#ask((redis) => redis.zrevrange(KEYS.batchesOf(tenant), 0, -1));
    const from = after === undefined ? 0 : ids.indexOf(after) + 1;
    const found = await Promise.all(ids.slice(from, from + limit).map((id) => this.find(id)));
    return found.filter((batch) => batch !== undefined);
  }

  /** Asks no further questions; those that are being answered are still. @throws SegueError NOT_FOUND */
  async cancel(tenant: string, id: string): Promise<Batch> {
    await this.get(tenant, id);
    await this.#scripts.move([KEYS.batch(id)], ['cancelling', 0]);
    return this.get(tenant, id);
  }

  /** A batch that nobody works on; it is the caller's for `leaseMs`. */
  async claim(leaseMs: number): Promise<Batch | undefined> {
    const id = (await this.#scripts.claim([KEYS.openBatches], [leaseMs])) as string | null;
    if (id === null) return undefined;
    const batch = await this.find(id);
    if (batch && !hasEnded(batch)) return batch;
    await this.#close(id);
    return undefined;
  }

  async renew(id: string, leaseMs: number): Promise<void> {
    await this.#scripts.renew([KEYS.openBatches], [leaseMs, id]);
  }

  /** Gives a claimed batch back before its end. */
  async release(id: string): Promise<void> {
    await this.renew(id, 0);
  }

  /** Numbers of the lines that have a result. */
  async done(id: string): Promise<Set<number>> {
    return new Set((await this.#ask((redis) => redis.smembers(KEYS.batchDone(id)))).map(Number));
  }

  /** Writes the result of a line, once. */
  async record(id: string, line: number, result: string, succeeded: boolean): Promise<void> {
    const file = succeeded ? outputFileId(id) : errorFileId(id);
    const keys = [KEYS.batch(id), KEYS.batchDone(id), KEYS.batchLines(id, file)];
    await this.#scripts.record(keys, [line, succeeded ? 'completed' : 'failed', result]);
  }

  async end(id: string, status: BatchStatus): Promise<void> {
    await this.#scripts.move([KEYS.batch(id)], [status, 1]);
    await this.#close(id);
  }

  async #close(id: string): Promise<void> {
    await this.#ask((redis) => redis.zrem(KEYS.openBatches, id));
  }

  async #batchOfFile(tenant: string, fileId: string): Promise<Batch | undefined> {
    const batchId = RESULT_FILE.exec(fileId)?.[1];
    return batchId === undefined ? undefined : this.get(tenant, batchId);
  }

  #ask<T>(command: (redis: RedisConnection['client']) => Promise<T>): Promise<T> {
    return this.#redis.ask(() => command(this.#redis.client));
  }
}

function noFile(): SegueError {
  return new SegueError('NOT_FOUND', 'There is no file with this id. Check the id; files are kept for a limited time.');
}
