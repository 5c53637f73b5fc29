import { setTimeout as sleep } from 'node:timers/promises';

export interface PeriodicOptions {
  /** From the end of one run to the beginning of the next, in milliseconds. */
  readonly everyMs: number;
  /** When the first run begins; after `everyMs` unless given. */
  readonly first?: 'now' | 'later';
  readonly run: () => Promise<void>;
  /** Hears why a run failed; the next one comes all the same. */
  readonly onError: (error: unknown) => void;
}

/** Work that repeats until it is stopped. */
export interface Periodic {
  /** Begins no further run and waits for the one in hand. */
  stop(): Promise<void>;
}

/** Repeats work, one run at a time. */
export function startPeriodic({ everyMs, first = 'later', run, onError }: PeriodicOptions): Periodic {
  const stopping = new AbortController();
  const { signal } = stopping;
  const repeat = async (): Promise<void> => {
    if (first === 'now') await run().catch(onError);
    for (;;) {
      await sleep(everyMs, undefined, { signal }).catch(() => undefined); // fails only when it is stopped
      if (signal.aborted) return;
      await run().catch(onError);
    }
  };
  const repeating = repeat();
  return {
    stop() {
      stopping.abort();
      return repeating;
    },
  };
}
