import { setTimeout as sleep } from 'node:timers/promises';
import { SegueError } from './errors.js';

const RETRY_AWAY_MS = 2_000;
const RETRY_FULL_MS = 60_000;
const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 5_000;

/** Codes of the system for connections that are lost or cannot be made. */
export const LOST_CODES: ReadonlySet<string> = new Set([
  'EAI_AGAIN',
  'ECONNABORTED',
  'ECONNREFUSED',
  'ECONNRESET',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENOTFOUND',
  'EPIPE',
  'ETIMEDOUT',
]);

/** Redis, or what keeps pictures, does not answer, or is asked for too much: what is said again later may succeed. */
export function storeAway(cause: unknown): SegueError {
  return new SegueError('UNAVAILABLE', 'The service cannot take requests at the moment. Try again in a few seconds.', {
    reason: 'STORE_AWAY',
    retryAfterMs: RETRY_AWAY_MS,
    cause,
  });
}

/** Whether it is an error of a store that passes with time, so that the same may be said again. */
export function isStoreAway(error: unknown): error is SegueError {
  return error instanceof SegueError && error.reason === 'STORE_AWAY';
}

/** There is no room for more. @param kept what takes it, in the plural. */
export function storeFull(kept: string, cause?: unknown): SegueError {
  return new SegueError('RESOURCE_EXHAUSTED', `Too many ${kept} are kept at the moment. Try again in a minute.`, {
    retryAfterMs: RETRY_FULL_MS,
    cause,
  });
}

export interface Patience {
  /** For so long it is asked again, in milliseconds; at 0 once. */
  readonly patienceMs: number;
  /** Ends the waiting, with its reason. */
  readonly signal: AbortSignal;
  /** Hears of each attempt after which it is asked again. */
  readonly onAway: (error: SegueError, pauseMs: number) => void;
}

/** Asks a store again, after growing pauses, while it is away. @throws what it throws in the end. */
export async function insist<T>(ask: () => Promise<T>, { patienceMs, signal, onAway }: Patience): Promise<T> {
  const giveUpAt = performance.now() + patienceMs;
  for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(2 * pauseMs, LONGEST_PAUSE_MS)) {
    try {
      return await ask();
    } catch (error) {
      if (!isStoreAway(error) || signal.aborted || performance.now() + pauseMs > giveUpAt) throw error;
      onAway(error, pauseMs);
    }
    // A signal of its own: many may wait for one store, and Node warns of many listeners of one signal.
    await sleep(pauseMs, undefined, { signal: AbortSignal.any([signal]) }).catch(() => {
      throw signal.reason;
    });
  }
}
