import { SegueError, type Tenant } from '@segue/core';

const RETRY_AFTER_MS = 5_000;

/** Counts the event streams that tenants have open at this gateway. */
export class OpenStreams {
  readonly #open = new Map<string, number>();

  /** The same events. @throws SegueError RESOURCE_EXHAUSTED before the first one, where the tenant has as many streams open as it may. */
  async *counted<T>({ name, limits }: Tenant, events: AsyncIterable<T>): AsyncGenerator<T, void> {
    const others = this.#open.get(name) ?? 0;
    if (limits.openStreams !== undefined && others >= limits.openStreams) {
      throw new SegueError(
        'RESOURCE_EXHAUSTED',
        `You may have ${limits.openStreams} event streams open at the same time. Close one, or ask for the job's state instead.`,
        { retryAfterMs: RETRY_AFTER_MS },
      );
    }
    this.#open.set(name, others + 1);
    try {
      yield* events;
    } finally {
      const open = (this.#open.get(name) ?? 1) - 1;
      if (open > 0) this.#open.set(name, open);
      else this.#open.delete(name);
    }
  }
}
