import { readdirSync, readFileSync } from 'node:fs';

export interface RunWatchOptions {
  /** Longest that a run may take, in milliseconds in which it could have run. */
  readonly limitMs: number;
  readonly onOver: () => void;
  readonly tickMs?: number;
  /** Milliseconds that each of this process' threads has waited for a processor so far, by its id. */
  readonly runDelaysMs?: () => ReadonlyMap<string, number>;
}

/**
 * Watches how long a run takes. Time does not count in which the machine was too busy to run it, or in which the whole process
 * was frozen: all workers of a starved machine would end each other's work otherwise. Of the threads the one counts that waited longest:
 * added up, the waits of several would hide for ever that a run goes on beside them.
 * @returns ends the watch.
 */
export function watchRun(options: RunWatchOptions): () => void {
  const { limitMs, onOver, tickMs = Math.min(500, limitMs / 4), runDelaysMs = readRunDelaysMs } = options;
  let spentMs = 0;
  let lastAt = performance.now();
  let lastDelaysMs: ReadonlyMap<string, number> = new Map(); // most runs end before the first look
  const timer = setInterval(() => {
    const now = performance.now();
    const delaysMs = runDelaysMs();
    const waitedMs = Math.max(0, ...[...delaysMs].map(([thread, ms]) => ms - (lastDelaysMs.get(thread) ?? ms)));
    // A process that was frozen finds at its next tick that much time has passed.
    const passedMs = Math.min(now - lastAt, 2 * tickMs);
    spentMs += Math.max(0, passedMs - waitedMs);
    [lastAt, lastDelaysMs] = [now, delaysMs];
    if (spentMs < limitMs) return;
    clearInterval(timer);
    onOver();
  }, tickMs);
  return () => clearInterval(timer);
}

const TASKS = '/proc/self/task';

/** By Linux' scheduler statistics (Documentation/scheduler/sched-stats.rst); none where there are none. */
function readRunDelaysMs(): ReadonlyMap<string, number> {
  return new Map(
    list(TASKS).map((thread) => [thread, Number(read(`${TASKS}/${thread}/schedstat`).split(' ')[1] ?? 0) / 1e6]),
  );
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
