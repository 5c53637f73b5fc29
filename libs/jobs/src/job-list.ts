import { PUBLIC_TENANT, SegueError, type JobState } from '@segue/core';
import { KEYS, type RedisConnection } from '@segue/redis';
import type { JobStore } from './job-store.js';
import type { JobRecord } from './record.js';

/** Entries that one look takes in; a rare state among many jobs takes several. */
const LOOK = 100;
const MAX_LOOKS = 10;
const TOKEN = /^\d{13}-([0-9a-f]{32})$/;

export interface ListOptions {
  readonly tenant?: string;
  /** Only jobs in this state. */
  readonly state?: JobState;
  /** Jobs in a page at most. */
  readonly limit: number;
  /** `next` of the page before. */
  readonly after?: string;
}

export interface JobPage {
  readonly jobs: readonly JobRecord[];
  /** Where the next page begins; absent after the last one. A page may be empty and not the last. */
  readonly next?: string;
}

/** Lists jobs by creation, by Redis' clock, the newest first. Jobs that are not kept any more are left out. */
export class JobList {
  readonly #redis: RedisConnection;
  readonly #store: JobStore;

  constructor(redis: RedisConnection, store: JobStore) {
    this.#redis = redis;
    this.#store = store;
  }

  async read({ tenant = PUBLIC_TENANT, state, limit, after }: ListOptions): Promise<JobPage> {
    if (after !== undefined && !TOKEN.test(after)) {
      throw new SegueError('INVALID_ARGUMENT', 'This page token is none that a list of jobs has given.');
    }
    const jobs: JobRecord[] = [];
    let from = after;
    for (let look = 0; look < MAX_LOOKS; look++) {
      const entries = await this.#entries(tenant, from);
      const records = await Promise.all(entries.map((entry) => this.#recordOf(entry)));
      for (const [index, record] of records.entries()) {
        from = entries[index];
        if (record && (state === undefined || record.state === state)) jobs.push(record);
        if (jobs.length === limit && from !== undefined) return { jobs, next: from };
      }
      if (entries.length < LOOK) return { jobs };
    }
    return { jobs, ...(from !== undefined && { next: from }) };
  }

  #entries(tenant: string, after: string | undefined): Promise<string[]> {
    const from = after === undefined ? '+' : `(${after}`;
    const { client } = this.#redis;
    return this.#redis.ask(() => client.zrevrangebylex(KEYS.jobsOf(tenant), from, '-', 'LIMIT', 0, LOOK));
  }

  async #recordOf(entry: string): Promise<JobRecord | undefined> {
    const jobId = TOKEN.exec(entry)?.[1];
    return jobId !== undefined ? this.#store.find(jobId) : undefined;
  }
}
