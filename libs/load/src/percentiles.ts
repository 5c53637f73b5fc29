import { quantile } from 'd3-array';

/** Of latencies, in milliseconds; NaN of none. */
export interface Percentiles {
  readonly p50: number;
  readonly p95: number;
  readonly p99: number;
}

export function percentiles(samples: Iterable<{ readonly latencyMs: number }>): Percentiles {
  const latencies = Array.from(samples, ({ latencyMs }) => latencyMs);
  const at = (share: number) => quantile(latencies, share) ?? NaN;
  return { p50: at(0.5), p95: at(0.95), p99: at(0.99) };
}
