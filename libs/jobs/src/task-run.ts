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

  /** @param deadlineAtMs milliseconds since the epoch. */
  setDeadline(deadlineAtMs: number): void {
    const leftMs = Math.min(Math.max(0, deadlineAtMs - Date.now()), LONGEST_TIMER_MS);
    this.timer = setTimeout(() => this.stop('deadline', deadlineExceeded()), leftMs);
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
