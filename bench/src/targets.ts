import type { Results } from './results.js';
import { percentiles } from '@segue/load';
import { meanLatency, perSecond, sideBySide, type Summary } from './statistics.js';

/** What Segue sets out to reach, and what was measured. */
export interface Target {
  readonly figure: string;
  readonly target: string;
  readonly measured: string;
  /** Undefined where the plan did not measure it. */
  readonly met?: boolean;
}

const SEGUE = 'Segue HTTP';
const RAY = 'Ray Serve';
const PAIR = [SEGUE, RAY] as const;

export function compareWithTargets({ cells, idle, words }: Results, summaries: readonly Summary[]): Target[] {
  const scenario = (kind: string, pictures: string, clients: number) =>
    `${kind}, ${pictures} pictures, ${clients} client${clients === 1 ? '' : 's'}`;
  const fresh = (clients: number) => scenario('one target', 'new', clients);
  const found = (name: string, contestant: string) =>
    summaries.find((summary) => summary.scenario === name && summary.contestant === contestant);
  const first = found(fresh(1), 'Segue gRPC');
  const streamed = found(`${scenario('explained', 'new', 1)}, streamed`, 'Segue gRPC');
  const again = ratioOf(found(scenario('one target', 'repeated', 1), 'Segue gRPC')?.p50, first?.p50);
  const overhead = sideBySide(
    cells,
    fresh(1),
    ['Segue gRPC', 'session.run'],
    (segue, runs) => meanLatency(segue) - meanLatency(runs),
  );
  return [
    ...[4, 8].map((clients) =>
      atLeast(
        `throughput against Ray Serve, new pictures, ${clients} clients`,
        1.5,
        sideBySide(cells, fresh(clients), PAIR, (segue, ray) => perSecond(segue) / perSecond(ray)),
      ),
    ),
    ...[1, 4].flatMap((clients) => [
      atMost(
        `p50 against Ray Serve, ${clients} client${clients === 1 ? '' : 's'}`,
        0.8,
        sideBySide(
          cells,
          fresh(clients),
          PAIR,
          (segue, ray) => percentiles(segue.samples).p50 / percentiles(ray.samples).p50,
        ),
      ),
      atMost(
        `p99 against Ray Serve, ${clients} client${clients === 1 ? '' : 's'}`,
        0.6,
        ratioOf(found(fresh(clients), SEGUE)?.p99, found(fresh(clients), RAY)?.p99),
      ),
    ]),
    atMost('overhead of the four processes over the sum of session.run, gRPC, one client', 25, overhead, 'ms'),
    atMost('second question on the same picture', 0.3, again, 'x the first'),
    atMost(
      'first mask against the whole answer, where an explanation follows',
      0.6,
      ratioOf(streamed?.firstMaskMs, streamed?.p50),
    ),
    atLeast('tokens/s of 8 answers in one batch against one', 4, ratioOf(words.eight, words.one)),
    atMost(
      'idle cost of the stack, share of a core',
      0.01,
      idle.find(({ contestant }) => contestant === SEGUE)?.cores,
      '',
    ),
  ];
}

function ratioOf(one: number | undefined, other: number | undefined): number | undefined {
  return one === undefined || other === undefined ? undefined : one / other;
}

function atLeast(figure: string, limit: number, value: number | undefined, unit = 'x'): Target {
  return target(figure, `>= ${limit} ${unit}`, unit, value, (found) => found >= limit);
}

function atMost(figure: string, limit: number, value: number | undefined, unit = 'x'): Target {
  return target(figure, `<= ${limit} ${unit}`, unit, value, (found) => found <= limit);
}

function target(
  figure: string,
  wanted: string,
  unit: string,
  value: number | undefined,
  holds: (value: number) => boolean,
): Target {
  if (value === undefined || Number.isNaN(value)) return { figure, target: wanted, measured: 'not measured' };
  const shown = unit === 'ms' ? value.toFixed(0) : value.toFixed(value < 0.1 ? 3 : 2);
  return { figure, target: wanted.trim(), measured: `${shown} ${unit}`.trim(), met: holds(value) };
}
