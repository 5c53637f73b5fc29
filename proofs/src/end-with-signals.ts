/** What a proof has started ends with it, also when somebody ends it: that hangs on this process' orderly exit. */
export function endWithSignals(): void {
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1));
}
