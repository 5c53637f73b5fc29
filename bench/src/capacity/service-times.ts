import { deviation, mean } from 'd3-array';
import type { LanguageRun } from '../contestants/language-runs.js';
import type { Cell } from '../measure.js';
import { REFERENCE } from '../plan.js';
import type { Results } from '../results.js';
import type { Job, Station } from './simulation.js';

/** In the order of a job's way; `front` is everything that is no stage: gateway, Redis, queues. */
export const STATIONS = ['front', 'encode', 'generate', 'decode'] as const;
export type StationName = (typeof STATIONS)[number];

/** A gateway does many things at once. */
const FRONT_REPLICAS = 1000;
/** Rows of a batch in the shipped bundle (`language.limits.maxBatch`). */
export const MAX_BATCH = 8;
const ONE_CLIENT = 'one target, new pictures, 1 client';
const PROCESSES: Readonly<Record<StationName, readonly string[]>> = {
  front: ['gateway', 'redis'],
  encode: ['encoder-worker'],
  generate: ['llm-worker'],
  decode: ['decoder-worker'],
};

/** What one question about a new picture takes, as one client saw it; in seconds. */
export interface ServiceTimes {
  /** The answers of one client. */
  readonly jobs: readonly Job[];
  readonly mean: Readonly<Record<StationName, number>>;
  /** Standard deviation by mean. */
  readonly variation: Readonly<Record<StationName, number>>;
  readonly cpuSeconds: Readonly<Record<StationName, number>>;
  /** What a further row adds to a run of the language graph, as a share of the first. */
  readonly growth: { readonly read: number; readonly step: number };
  /** The same for a whole answer. */
  readonly answerGrowth: number;
}

/** @throws Error when the results lack the scenario with one client, or say nothing of the stages in it. */
export function serviceTimesOf({ cells, languageRuns = [] }: Partial<Results>): ServiceTimes {
  const own = (contestant: string) =>
    (cells ?? []).filter((cell) => cell.scenario === ONE_CLIENT && cell.contestant === contestant);
  const share = shareOfStep(languageRuns);
  const jobs = own(REFERENCE).flatMap((cell) => jobsOf(cell, own('session.run'), share));
  if (jobs.length === 0)
    throw new Error(`There are no times of stages for "${ONE_CLIENT}" and ${REFERENCE}. Measure again: npm run bench`);
  const answers = own(REFERENCE).reduce((sum, { samples }) => sum + samples.length, 0);
  const cpu = (name: string) => own(REFERENCE).reduce((sum, { cpuSeconds }) => sum + (cpuSeconds[name] ?? 0), 0);
  const seconds = byStation((_, place) => jobs.map((job) => secondsOf(job, place)));
  const growth = { read: growthOf(languageRuns, 'pictures'), step: growthOf(languageRuns, 'step') };
  const steps = mean(jobs, (job) => job[2]?.steps ?? 0) ?? 0;
  const stepping = (steps * share) / (1 + steps * share);
  return {
    jobs,
    mean: byStation((name) => mean(seconds[name]) ?? NaN),
    variation: byStation((name) => (deviation(seconds[name]) ?? 0) / (mean(seconds[name]) ?? NaN)),
    cpuSeconds: byStation((name) => PROCESSES[name].reduce((sum, process) => sum + cpu(process), 0) / answers),
    growth,
    answerGrowth: growth.read * (1 - stepping) + growth.step * stepping,
  };
}

/** Stations with so many replicas of each stage. */
export function stationsOf(
  times: ServiceTimes,
  replicas: Readonly<Record<Exclude<StationName, 'front'>, number>>,
): Station[] {
  return STATIONS.map((name) => ({
    replicas: name === 'front' ? FRONT_REPLICAS : replicas[name],
    cores: coresOf(times, name),
    ...(name === 'generate' && { maxBatch: MAX_BATCH, growth: times.growth }),
  }));
}

/** Cores that a station keeps busy while it works on one question. */
export function coresOf({ cpuSeconds, mean: seconds }: ServiceTimes, name: StationName): number {
  return cpuSeconds[name] / seconds[name];
}

/**
 * Each answer's times by stage, in seconds. What the stages do not say of the latency is `front`; the language model's time is
 * divided into its runs as the bare graphs, asked the same, divide theirs.
 */
function jobsOf(cell: Cell, bare: readonly Cell[], share: number): Job[] {
  const same = bare.find(({ round }) => round === cell.round);
  return cell.samples.flatMap(({ latencyMs, stageMs }, index): Job[] => {
    if (!stageMs) return [];
    const { encode, generate, decode } = stageMs;
    const steps = same?.samples[index]?.steps ?? 0;
    const read = generate / 1000 / (1 + steps * share);
    return [
      [
        { read: Math.max(0, latencyMs - encode - generate - decode) / 1000 },
        { read: encode / 1000 },
        { read, steps, step: read * share },
        { read: decode / 1000 },
      ],
    ];
  });
}

function secondsOf(job: Job, place: number): number {
  const { read = 0, step = 0, steps = 0 } = job[place] ?? {};
  return read + step * steps;
}

/** What a step takes of one row, by what reading a picture and a question takes. */
function shareOfStep(runs: readonly LanguageRun[]): number {
  const one = (reading: LanguageRun['reading']) => runs.find((run) => run.reading === reading && run.rows === 1)?.ms;
  return (one('step') ?? 0) / (one('pictures') ?? 1);
}

/** Without measured batches: as much as the first row, so that batches bring nothing. */
function growthOf(runs: readonly LanguageRun[], reading: LanguageRun['reading']): number {
  const [first, ...more] = runs.filter((run) => run.reading === reading).sort((a, b) => a.rows - b.rows);
  const last = more.at(-1);
  if (!first || !last) return 1;
  return Math.max(0, (last.ms / first.ms - 1) / (last.rows - first.rows));
}

function byStation<T>(value: (name: StationName, place: number) => T): Record<StationName, T> {
  return Object.fromEntries(STATIONS.map((name, place) => [name, value(name, place)])) as Record<StationName, T>;
}
