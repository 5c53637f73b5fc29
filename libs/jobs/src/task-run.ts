import { type SegueError } from '@segue/core';
import { deadlineExceeded } from './job-store.js';

/** Timers cannot be set for longer. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

/** Why a run is told to stop. */
export type StopCause = 'ended' | 'deadline' | 'shutdown' | 'lock_lost';

/** The signal of one run of a task, and why it was aborted. */
export class TaskRun {
  readonly #controller = new AbortController();
  #timer: NodeJS.Timeout | undefined;
  #cause: StopCause | undefined;

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  get cause(): StopCause | undefined {
    return this.#cause;
  }

  /** @param leftMs until the deadline; none left stops the run at once. */
  setDeadline(leftMs: number): void {
    if (leftMs <= 0) return this.stop('deadline', deadlineExceeded());
    this.#timer = setTimeout(() => this.stop('deadline', deadlineExceeded()), Math.min(leftMs, LONGEST_TIMER_MS));
  }

  /** The first cause counts. */
  stop(cause: StopCause, reason: SegueError): void {
    if (this.#cause) return;
    this.#cause = cause;
    this.#controller.abort(reason);
  }

  dispose(): void {
    clearTimeout(this.#timer);
  }
}
