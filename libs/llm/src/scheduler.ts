import { setImmediate } from 'node:timers/promises';
import { SegueError } from '@segue/core';
import { releaseMemory } from '@segue/tensors';
import type { Step } from './answer.js';
import type { LanguageGraphs, PrefillRow } from './graphs.js';
import { KvBatch, wholeRow, type KvShape, type KvSlice } from './kv.js';
import type { PicturePrefixes } from './prefixes.js';
import type { Row } from './row.js';

export interface SchedulerParts {
  readonly graphs: LanguageGraphs;
  readonly prefixes: PicturePrefixes;
  readonly shape: KvShape;
  /** Answers written at once. */
  readonly maxBatch: number;
}

/** A row and the caches of its picture and conversation. */
interface Joining {
  readonly row: Row;
  readonly cache: readonly KvSlice[];
}

/** Positions that the batch's cache can take before it is laid out anew: room for the time of a usual answer. */
const HEADROOM = 32;

/**
 * Continuous batching (Yu et al. 2022, "Orca", section 3.1): answers are written in one batch, step by step; between two steps
 * rows that are complete or cancelled leave and waiting ones join, first come, first served. Newcomers are prefilled together.
 */
export class Scheduler {
  readonly #parts: SchedulerParts;
  readonly #batch: KvBatch;
  #waiting: Row[] = [];
  /** In the order of the batch's rows; settled ones leave before the next step. */
  #running: Row[] = [];
  #work: Promise<void> | undefined;
  #closed = false;

  constructor(parts: SchedulerParts) {
    this.#parts = parts;
    this.#batch = new KvBatch(parts.shape, HEADROOM);
  }

  /** Queues the row, which settles when its answer is complete or has failed. */
  add(row: Row): void {
    this.#waiting.push(row);
    this.#work ??= this.#run();
  }

  /** Ends the rows before the next step (UNAVAILABLE) and resolves when nothing runs any more. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#work;
  }

  async #run(): Promise<void> {
    // Requests that arrive in the same turn of the event loop start as one batch.
    await setImmediate();
    while (this.#waiting.length + this.#running.length > 0) {
      this.#dismiss();
      await this.#advance(await this.#admit());
    }
    this.#work = undefined;
  }

  /** Fails the rows that may not go on. */
  #dismiss(): void {
    for (const row of [...this.#running, ...this.#waiting]) {
      const reason = this.#closed ? closedError() : row.stopReason;
      if (reason !== undefined) row.fail(reason);
    }
    this.#waiting = this.#waiting.filter((row) => !row.settled);
  }

  /**
   * Prefills as many waiting rows as there is room for; gives those whose answers go on, with their caches. A picture's prefix
   * is read in one run with the first question about it, which the graph reads to the same bits as behind a cached prefix.
   */
  async #admit(): Promise<Joining[]> {
    const { prefixes, maxBatch } = this.#parts;
    const newcomers = this.#waiting.splice(0, maxBatch - this.#running.filter((row) => !row.settled).length);
    const { first, ready, waiting } = prefixes.sort(newcomers);
    this.#waiting.unshift(...waiting);
    const started = await this.#prefill(
      first.map(({ row, picture }) => {
        const { ids, ...next } = row.next;
        const { visualTokens } = picture;
        return { request: row, ...next, ids: [...prefixes.ids(picture), ...ids], visualTokens, past: [] };
      }),
    );
    for (const { row, cache } of started) prefixes.keep(row.picture, cache);
    for (const { row } of ready) row.prefixCached = true;
    const followed = await this.#prefill(
      ready.map(({ row, prefix }) => ({ request: row, ...row.next, past: [wholeRow(prefix)] })),
    );
    return [...started, ...followed].filter(({ row }) => !row.settled);
  }

  /** Reads what rows begin with, in one run; gives those that did not fail. */
  async #prefill(rows: readonly (PrefillRow & { readonly request: Row })[]): Promise<Joining[]> {
    if (rows.length === 0) return [];
    try {
      const read = await this.#parts.graphs.prefill(rows);
      const joining = read.map(({ row, steps, kv }) => ({ row: row.request, steps, cache: [...row.past, kv] }));
      await this.#pass(joining);
      return joining;
    } catch (error) {
      for (const { request } of rows) request.fail(error);
      return [];
    }
  }

  /** Changes the batch to those who stay and those who join, and takes the next step of each. */
  async #advance(joining: readonly Joining[]): Promise<void> {
    const staying = this.#running.flatMap((row, place) => (row.settled ? [] : [{ row, place }]));
    const rows = [...staying, ...joining].map(({ row }) => row);
    this.#running = rows;
    try {
      this.#batch.rearrange(
        staying.map(({ place }) => place),
        joining.map(({ cache }) => cache),
      );
      // What the row's prefill gave; what is before it is its picture's prefix, which is kept.
      for (const { cache } of joining) releaseMemory(cache.at(-1)?.tensor.data ?? new Float32Array());
      if (rows.length === 0) return;
      const fed = rows.map((row) => ({ request: row, ...row.next }));
      const read = await this.#parts.graphs.decode(fed, this.#batch);
      await this.#pass(read.map(({ row, steps }) => ({ row: row.request, steps })));
    } catch (error) {
      for (const row of rows) row.fail(error);
    }
  }

  /** Hands each row its steps and what became of them, the embeddings of all `<SEG>` computed in one run. */
  async #pass(taken: readonly { readonly row: Row; readonly steps: readonly Step[] }[]): Promise<void> {
    const written = taken.flatMap(({ row, steps }) => attempt(row, () => [{ row, produced: row.accept(steps) }]) ?? []);
    const states = written.flatMap(({ produced }) => produced.flatMap((item) => ('state' in item ? [item.state] : [])));
    const askers = written.flatMap(({ row, produced }) => (produced.some((item) => 'state' in item) ? [row] : []));
    const embeddings = await this.#parts.graphs.segEmbeddings(states, askers);
    for (const { row, produced } of written) {
      const own = embeddings.splice(0, produced.filter((item) => item.type === 'segment').length);
      attempt(row, () => {
        row.deliver(produced, own);
      });
    }
  }
}

/** Does something for one row, whose failure is that row's alone. */
function attempt<T>(row: Row, action: () => T): T | undefined {
  try {
    return action();
  } catch (error) {
    row.fail(error);
    return undefined;
  }
}

function closedError(): SegueError {
  return new SegueError(
    'UNAVAILABLE',
    'The language model is shutting down. Try again; another worker will take over.',
  );
}
