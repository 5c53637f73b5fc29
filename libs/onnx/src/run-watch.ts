import { readdirSync, readFileSync } from 'node:fs';

export interface RunWatchOptions {
  /** Longest that a run may take, in milliseconds in which it could have run. */
  readonly limitMs: number;
  readonly onOver: () => void;
  readonly tickMs?: number;
  /** Milliseconds that this process' threads have waited for a processor so far. */
  readonly runDelayMs?: () => number;
}

/**
 * Watches how long a run takes. Time does not count in which the machine was too busy to run it, or in which the whole process
 * was frozen: all workers of a starved machine would end each other's work otherwise.
 * @returns ends the watch.
 */
export function watchRun(options: RunWatchOptions): () => void {
  const { limitMs, onOver, tickMs = Math.min(500, limitMs / 4), runDelayMs = readRunDelayMs } = options;
  let spentMs = 0;
  let lastAt = performance.now();
  let lastDelayMs: number | undefined;
  const timer = setInterval(() => {
    const now = performance.now();
    const delayMs = runDelayMs();
    // A process that was frozen finds at its next tick that much time has passed.
    const passedMs = Math.min(now - lastAt, 2 * tickMs);
    spentMs += Math.max(0, passedMs - (delayMs - (lastDelayMs ?? delayMs)));
    [lastAt, lastDelayMs] = [now, delayMs];
    if (spentMs < limitMs) return;
    clearInterval(timer);
    onOver();
  }, tickMs);
  return () => clearInterval(timer);
}

const TASKS = '/proc/self/task';

/** By Linux' scheduler statistics (Documentation/scheduler/sched-stats.rst); 0 where there are none. */
function readRunDelayMs(): number {
  let nanoseconds = 0;
  for (const task of list(TASKS)) nanoseconds += Number(read(`${TASKS}/${task}/schedstat`).split(' ')[1] ?? 0);
  return nanoseconds / 1e6;
}

function list(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return []; // another system than Linux
  }
}

function read(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return ''; // the thread has ended meanwhile
  }
}
