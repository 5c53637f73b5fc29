import { percentiles, type Percentiles } from '@segue/load';
import { groups, max, mean, median, min } from 'd3-array';
import type { Cell } from './measure.js';

/** All rounds of one contestant in one scenario; latencies in milliseconds. */
export interface Summary extends Percentiles {
  readonly scenario: string;
  readonly contestant: string;
  readonly answers: number;
  readonly errors: number;
  /** Answers a second, median of the rounds; the lowest and the highest round. */
  readonly perSecond: number;
  readonly perSecondRange: readonly [number, number];
  readonly firstWordMs?: number;
  readonly firstMaskMs?: number;
  /** CPU seconds and bytes sent for an answer, by process and by hop. */
  readonly cpuSeconds: Readonly<Record<string, number>>;
  readonly sentBytes: Readonly<Record<string, number>>;
}

export function summarise(cells: readonly Cell[]): Summary[] {
  return groups(cells, ({ scenario, contestant }) => JSON.stringify([scenario, contestant])).map(([, rounds]) => {
    const [{ scenario, contestant } = { scenario: '', contestant: '' }] = rounds;
    const samples = rounds.flatMap((cell) => cell.samples);
    const answered = samples.filter(({ error }) => error === undefined);
    const rates = rounds.map((cell) => answersIn(cell) / (cell.elapsedMs / 1000));
    const [firstWordMs, firstMaskMs] = [
      median(answered, (sample) => sample.firstWordMs),
      median(answered, (sample) => sample.firstMaskMs),
    ];
    return {
      scenario,
      contestant,
      answers: answered.length,
      errors: samples.length - answered.length,
      perSecond: median(rates) ?? 0,
      perSecondRange: [min(rates) ?? 0, max(rates) ?? 0],
      ...percentiles(answered),
      ...(firstWordMs !== undefined && { firstWordMs }),
      ...(firstMaskMs !== undefined && { firstMaskMs }),
      cpuSeconds: perAnswer(rounds, 'cpuSeconds', answered.length),
      sentBytes: perAnswer(rounds, 'sentBytes', answered.length),
    };
  });
}

/** Two contestants side by side in each round that both were in; median over the rounds. */
export function sideBySide(
  cells: readonly Cell[],
  scenario: string,
  [one, other]: readonly [string, string],
  compare: (one: Cell, other: Cell) => number,
): number | undefined {
  const cellsOf = (contestant: string) =>
    cells.filter((cell) => cell.scenario === scenario && cell.contestant === contestant);
  return median(cellsOf(one), (mine) => {
    const theirs = cellsOf(other).find(({ round }) => round === mine.round);
    return theirs && compare(mine, theirs);
  });
}

export function perSecond(cell: Cell): number {
  return answersIn(cell) / (cell.elapsedMs / 1000);
}

export function meanLatency(cell: Cell): number {
  return mean(cell.samples, ({ latencyMs }) => latencyMs) ?? NaN;
}

export function total(values: Readonly<Record<string, number>>): number {
  return Object.values(values).reduce((sum, value) => sum + value, 0);
}

function answersIn({ samples }: Cell): number {
  return samples.filter(({ error }) => error === undefined).length;
}

function perAnswer(rounds: readonly Cell[], key: 'cpuSeconds' | 'sentBytes', answers: number): Record<string, number> {
  const sums: Record<string, number> = {};
  for (const cell of rounds) {
    for (const [name, value] of Object.entries(cell[key])) sums[name] = (sums[name] ?? 0) + value;
  }
  return Object.fromEntries(Object.entries(sums).map(([name, value]) => [name, value / Math.max(1, answers)]));
}
