import { storeAway } from '@segue/core';

/**
 * One attempt that may take `ms`, with its errors told apart.
 * @param toError what an error means that neither the signal nor the time has made.
 * @throws the signal's reason once that is aborted; SegueError UNAVAILABLE with reason STORE_AWAY after `ms`.
 */
export async function within<T>(
  ms: number,
  signal: AbortSignal | undefined,
  attempt: (limit: AbortSignal) => Promise<T>,
  toError: (error: unknown) => unknown,
): Promise<T> {
  signal?.throwIfAborted();
  const late = AbortSignal.timeout(ms);
  try {
    return await attempt(signal ? AbortSignal.any([signal, late]) : late);
  } catch (error) {
    if (signal?.aborted) throw signal.reason;
    throw late.aborted ? storeAway(error) : toError(error);
  }
}
