import type { ChaosReport, RoundReport } from './run-chaos.js';

/** One line for each kind of fault, in Markdown. */
export function table({ rounds }: ChaosReport): string {
  const kinds = [...new Set(rounds.map(({ fault }) => fault))];
  const groups = kinds.map((kind) => [kind, rounds.filter(({ fault }) => fault === kind)] as const);
  const lines = groups.map(([fault, of]) => [
    fault,
    of.length,
    sum(of, ({ jobs }) => jobs),
    seconds(most(of, ({ lastedMs }) => lastedMs)),
    seconds(most(of, ({ recoveredMs }) => recoveredMs)),
    sum(of, ({ repeated }) => repeated),
    sum(of, ({ wrong }) => wrong.length),
  ]);
  const head = ['fault', 'times', 'jobs', 'lasted s', 'recovered s', 'calls repeated', 'wrong'];
  return [head, head.map((_, column) => (column ? '--:' : '---')), ...lines]
    .map((cells) => `| ${cells.join(' | ')} |`)
    .join('\n');
}

/** What came of it, in a few sentences. */
export function verdict({ rounds, left, restarts, clockWasOff }: ChaosReport): string {
  const late = rounds.flatMap(({ lateMs }) => lateMs);
  return [
    `${sum(rounds, ({ jobs }) => jobs)} jobs, ${rounds.length} faults, ${restarts} processes ended and were started again.`,
    `${sum(rounds, ({ wrong }) => wrong.length)} wrong.`,
    left.length > 0
      ? `Left in Redis: ${left.slice(0, 10).join(', ')}.`
      : 'Nothing is left in Redis without a lifetime.',
    `${late.length} jobs ended at their deadline, the latest ${Math.max(0, ...late)} ms after it.`,
    clockWasOff
      ? 'One llm-worker’s clock was five minutes ahead.'
      : 'No clock was wrong: libfaketime is not installed.',
  ].join('\n');
}

function sum<T>(list: readonly T[], of: (item: T) => number): number {
  return list.reduce((total, item) => total + of(item), 0);
}

function most(rounds: readonly RoundReport[], of: (round: RoundReport) => number): number {
  return Math.max(...rounds.map(of));
}

function seconds(ms: number): string {
  return (ms / 1000).toFixed(1);
}
