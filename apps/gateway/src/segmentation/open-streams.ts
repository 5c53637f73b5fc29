import { SegueError, type Tenant } from '@segue/core';
import { Tally } from '../tally.js';

const RETRY_AFTER_MS = 5_000;

/** Counts the event streams that tenants have open at this gateway. */
export class OpenStreams {
  readonly #open = new Tally();

  /** The same events. @throws SegueError RESOURCE_EXHAUSTED before the first one, where the tenant has as many streams open as it may. */
  async *counted<T>({ name, limits }: Tenant, events: AsyncIterable<T>): AsyncGenerator<T, void> {
    if (limits.openStreams !== undefined && this.#open.of(name) >= limits.openStreams) {
      throw new SegueError(
        'RESOURCE_EXHAUSTED',
        `You may have ${limits.openStreams} event streams open at the same time. Close one, or ask for the job's state instead.`,
        { retryAfterMs: RETRY_AFTER_MS },
      );
    }
    this.#open.add(name, 1);
    try {
      yield* events;
    } finally {
      this.#open.add(name, -1);
    }
  }
}
