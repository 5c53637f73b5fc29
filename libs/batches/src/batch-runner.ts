import { setTimeout as sleep } from 'node:timers/promises';
import { SegueError, startPeriodic, type Log, type Periodic } from '@segue/core';
import type { Batch } from './batch.js';
import type { BatchStore } from './batch-store.js';

/** What came of a line, as it is written into the file of answers or of failures. */
export interface LineResult {
  readonly succeeded: boolean;
  readonly line: string;
}

/**
 * Answers one line. The key is the same when the line is asked again, after this process has died.
 * @throws SegueError UNAVAILABLE or RESOURCE_EXHAUSTED when the line is to be asked again later.
 */
export type Answer = (batch: Batch, line: string, key: string, signal: AbortSignal) => Promise<LineResult>;

export interface BatchRunnerOptions {
  /** Lines of a batch that are asked at the same time. */
  readonly concurrency: number;
  /** How long a batch is a process's own; another one goes on with it afterwards. */
  readonly leaseMs?: number;
}

const LOOK_EVERY_MS = 1_000;
const LEASE_MS = 30_000;
const [FIRST_WAIT_MS, LONGEST_WAIT_MS] = [500, 15_000];

/** Works on one batch at a time; every gateway has one. */
export class BatchRunner {
  readonly #store: BatchStore;
  readonly #answer: Answer;
  readonly #log: Log;
  readonly #concurrency: number;
  readonly #leaseMs: number;
  readonly #stopping = new AbortController();
  #loop: Periodic | undefined;

  constructor(store: BatchStore, answer: Answer, log: Log, { concurrency, leaseMs = LEASE_MS }: BatchRunnerOptions) {
    this.#store = store;
    this.#answer = answer;
    this.#log = log;
    this.#concurrency = concurrency;
    this.#leaseMs = leaseMs;
  }

  start(): void {
    this.#loop = startPeriodic({
      everyMs: LOOK_EVERY_MS,
      run: async () => {
        const batch = await this.#store.claim(this.#leaseMs);
        if (batch) await this.#work(batch);
      },
      onError: (error) => this.#log.warn({ err: error }, 'a batch is waiting for better times'),
    });
  }

  /** Gives the batch in hand back; questions that are being answered are found again by their keys. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#loop?.stop();
  }

  async #work(batch: Batch): Promise<void> {
    const renewing = startPeriodic({
      everyMs: this.#leaseMs / 3,
      run: () => this.#store.renew(batch.id, this.#leaseMs),
      onError: (error) => this.#log.warn({ err: error, batchId: batch.id }, 'could not keep a batch'),
    });
    try {
      const content = (await this.#store.content(batch.tenant, batch.inputFileId)).toString();
      const done = await this.#store.done(batch.id);
      const open = linesOf(content).flatMap((line, number) => (done.has(number) ? [] : [{ line, number }]));
      await Promise.all(Array.from({ length: this.#concurrency }, () => this.#askLines(batch, open)));
      if (this.#stopping.signal.aborted) return;
      const now = await this.#store.find(batch.id);
      await this.#store.end(batch.id, now?.status === 'cancelling' ? 'cancelled' : 'completed');
      this.#log.info({ batchId: batch.id }, 'a batch has ended');
    } finally {
      await renewing.stop();
      if (this.#stopping.signal.aborted) await this.#store.release(batch.id);
    }
  }

  async #askLines(batch: Batch, open: { readonly line: string; readonly number: number }[]): Promise<void> {
    const { signal } = this.#stopping;
    for (let next = open.shift(); next && !signal.aborted; next = open.shift()) {
      const { line, number } = next;
      if ((await this.#store.find(batch.id))?.status !== 'in_progress') return;
      const result = await this.#askLine(batch, line, `${batch.id}-${number}`);
      if (result) await this.#store.record(batch.id, number, result.line, result.succeeded);
    }
  }

  /** Waits while the service has no room: nobody waits for a batch. */
  async #askLine(batch: Batch, line: string, key: string): Promise<LineResult | undefined> {
    const { signal } = this.#stopping;
    for (let tries = 0; !signal.aborted; tries++) {
      try {
        return await this.#answer(batch, line, key, signal);
      } catch (error) {
        if (signal.aborted) return undefined;
        if (!(error instanceof SegueError && PASSING.has(error.code))) throw error;
        const waitMs = Math.max(error.retryAfterMs ?? 0, Math.min(FIRST_WAIT_MS * 2 ** tries, LONGEST_WAIT_MS));
        await sleep(waitMs, undefined, { signal }).catch(() => undefined); // fails only when it is stopped
      }
    }
    return undefined;
  }
}

const PASSING: ReadonlySet<SegueError['code']> = new Set(['UNAVAILABLE', 'RESOURCE_EXHAUSTED']);

/** A file's lines, without those that are empty. */
export function linesOf(content: string): string[] {
  return content.split('\n').filter((line) => line.trim() !== '');
}
