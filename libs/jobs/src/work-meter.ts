import type { Work } from '@segue/redis';

/**
 * Measures how fast one worker is when it has enough to do: tasks done in the time in which it had at least half of its
 * hands full. What it does while work only trickles in tells nothing about what it could do.
 */
export class WorkMeter {
  readonly #busyFrom: number;
  readonly #now: () => number;
  #hands = 0;
  #sinceMs: number;
  #work = { done: 0, busyMs: 0, busyDone: 0 };

  /** @param concurrency tasks that the worker takes at the same time. */
  constructor(concurrency: number, now: () => number = () => performance.now()) {
    this.#busyFrom = Math.ceil(concurrency / 2);
    this.#now = now;
    this.#sinceMs = now();
  }

  /** A task is taken. */
  begin(): void {
    this.#advance();
    this.#hands++;
  }

  /** A task is let go of. */
  end({ done }: { readonly done: boolean }): void {
    this.#advance();
    if (done) {
      this.#work.done++;
      if (this.#isBusy) this.#work.busyDone++;
    }
    this.#hands--;
  }

  /** What was done since the last call, in whole numbers. */
  take(): Work {
    this.#advance();
    const { done, busyMs, busyDone } = this.#work;
    const whole = Math.floor(busyMs);
    this.#work = { done: 0, busyMs: busyMs - whole, busyDone: 0 };
    return { done, busyMs: whole, busyDone };
  }

  get #isBusy(): boolean {
    return this.#hands >= this.#busyFrom;
  }

  #advance(): void {
    const nowMs = this.#now();
    if (this.#isBusy) this.#work.busyMs += nowMs - this.#sinceMs;
    this.#sinceMs = nowMs;
  }
}
