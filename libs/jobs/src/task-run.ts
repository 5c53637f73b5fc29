import { type SegueError } from '@segue/core';

import { deadlineExceeded } from './job-sweeper.js';

/** Timers cannot be set for longer. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

/** Why a run is told to stop. */
export type StopCause = 'ended' | 'deadline' | 'shutdown' | 'lock_lost';

/** The signal of one run of a task, and why it was aborted. */
export class TaskRun {
  private readonly controller = new AbortController();
  private timer: NodeJS.Timeout | undefined;
  private stoppedBy: StopCause | undefined;

  get signal(): AbortSignal {
    return this.controller.signal;
  }

  get cause(): StopCause | undefined {
    return this.stoppedBy;
  }

  /** @param deadlineAtMs milliseconds since the epoch; one that has passed stops the run at once. */
  setDeadline(deadlineAtMs: number): void {
    const leftMs = deadlineAtMs - Date.now();
    if (leftMs <= 0) return this.stop('deadline', deadlineExceeded());
    this.timer = setTimeout(() => this.stop('deadline', deadlineExceeded()), Math.min(leftMs, LONGEST_TIMER_MS));
  }

  /** The first cause counts. */
  stop(cause: StopCause, reason: SegueError): void {
    if (this.stoppedBy) return;
    this.stoppedBy = cause;
    this.controller.abort(reason);
  }

  dispose(): void {
    clearTimeout(this.timer);
  }
}
