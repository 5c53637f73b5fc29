import { SegueError } from '@segue/core';
import { KEYS, type RedisConnection } from '@segue/redis';

/** A task that is not tried any more because its runs ended the processes they ran in, or because nobody can read it. */
export interface DeadLetter {
  readonly jobId: string;
  readonly queue: string;
  readonly taskId: string;
  readonly reason: string;
  /** Runs that ended with their process. */
  readonly deaths: number;
  /** Who ran those: `host/pid`, the first one first. A letter of an earlier version does not tell. */
  readonly diedIn?: readonly string[];
  /** Who noticed: `host/pid`. */
  readonly worker: string;
  /** Milliseconds since the epoch by the clock of who noticed. */
  readonly atMs: number;
}

const KEPT = 1_000;

/** Dead letters, newest first; the oldest go when there are too many. */
export class DeadLetters {
  readonly #redis: RedisConnection;

  constructor(redis: RedisConnection) {
    this.#redis = redis;
  }

  async add(letter: DeadLetter): Promise<void> {
    const { client, ask } = this.#redis;
    await ask(() => client.lpush(KEYS.deadLetters, JSON.stringify(letter)));
    await ask(() => client.ltrim(KEYS.deadLetters, 0, KEPT - 1));
  }

  count(): Promise<number> {
    const { client, ask } = this.#redis;
    return ask(() => client.llen(KEYS.deadLetters));
  }

  async list(): Promise<DeadLetter[]> {
    const { client, ask } = this.#redis;
    const letters = await ask(() => client.lrange(KEYS.deadLetters, 0, -1));
    return letters.map((letter) => JSON.parse(letter) as DeadLetter);
  }

  /** @throws SegueError NOT_FOUND when there is none of this job. */
  async of(jobId: string): Promise<DeadLetter[]> {
    const letters = (await this.list()).filter((letter) => letter.jobId === jobId);
    if (letters.length > 0) return letters;
    throw new SegueError(
      'NOT_FOUND',
      'There is no dead letter of this job. Look at the list for those that there are.',
    );
  }

  /** @returns how many letters of this job there were. @throws SegueError NOT_FOUND */
  async drop(jobId: string): Promise<number> {
    const { client, ask } = this.#redis;
    const letters = await this.of(jobId);
    for (const letter of letters) await ask(() => client.lrem(KEYS.deadLetters, 0, JSON.stringify(letter)));
    return letters.length;
  }
}
