import { mean, median } from 'd3-array';
import { randomExponential, randomInt, randomLcg } from 'd3-random';
import { percentiles } from '@segue/load';
import { capacityOf, seedOf, type Cell } from '../measure.js';
import { REFERENCE } from '../plan.js';
import { table } from '../report.js';
import type { Results } from '../results.js';
import { perSecond } from '../statistics.js';
import { coldStart, offeredLoad, pricePerThousand, replicasFor, secondsInBatches, waitingSeconds } from './formulas.js';
import { coresOf, MAX_BATCH, serviceTimesOf, STATIONS, stationsOf, type ServiceTimes } from './service-times.js';
import { simulate, type Job, type Load } from './simulation.js';

const STAGES = ['encode', 'generate', 'decode'] as const;
type Stage = (typeof STAGES)[number];

/** Often enough that the simulated percentiles move by no more than a few per cent with the seed. */
const REPETITIONS = 50;
const STEADY_JOBS = 20_000;
const GRID = { replicas: [1, 2, 4], busy: [0.5, 0.7, 0.9] };
const LOADS = [1, 10, 100];
/** An example of a price, of a core for an hour. */
const CORE_HOUR = 0.04;
/** An example, in seconds. */
const COLD_START = 10;

/** The page that sets a queueing model, a simulation and the measurements side by side. */
export function writeCapacity(results: Results): string {
  const times = serviceTimesOf(results);
  const cores = Number.parseInt(results.environment['processor'] ?? '', 10);
  return [
    '# Capacity',
    `Written by \`npm run bench -- --capacity\` from the results in this folder (commit ${results.environment['commit']}, ` +
      `${results.environment['processor']}); [the guide](../../../docs/guides/capacity.md) says how to read it.`,
    '## Service times',
    'Of one question about a new picture, asked by one client over HTTP. `front` is what of the latency is in no stage. A further ' +
      `row adds ${percent(times.growth.read)} of the first to a run that reads a picture and a question, and ` +
      `${percent(times.growth.step)} to a step; ${percent(times.answerGrowth)} to a whole answer.`,
    table(
      ['', 'ms', 'variation', 'CPU ms', 'cores while it works'],
      STATIONS.map((name) => [
        name,
        ms(times.mean[name]),
        times.variation[name].toFixed(2),
        ms(times.cpuSeconds[name]),
        coresOf(times, name).toFixed(2),
      ]),
    ),
    '## Measured and simulated on one machine',
    `One replica of each stage; all share ${cores} cores. Open loops have the arrivals that the measured ones had, each ` +
      `${REPETITIONS} times with other questions.`,
    measuredBesideSimulated(results.cells, times, cores),
    '## The formulas and the simulation',
    'Replicas with cores of their own; milliseconds that a question spends in a stage beyond its service time.',
    formulasBesideSimulated(times),
    '## Replicas and price',
    `Formulas: replicas of which 70 % are busy; in ${COLD_START} s of a cold start (an example) so many questions come, and so many seconds later the ` +
      `replicas have caught up; the price is that of the cores that the replicas and the front keep busy when they all work, at ` +
      `${CORE_HOUR} a core-hour (an example, too), and is in its currency. Latencies are simulated.`,
    replicasAndPrice(times),
    '',
  ].join('\n\n');
}

function measuredBesideSimulated(cells: readonly Cell[], times: ServiceTimes, cores: number): string {
  const own = cells.filter(
    ({ scenario, contestant }) => contestant === REFERENCE && /^one target, new pictures, (\d|arr)/.test(scenario),
  );
  const system = { stations: stationsOf(times, { encode: 1, generate: 1, decode: 1 }), cores };
  const rows = [...new Set(own.map(({ scenario }) => scenario))].map((scenario) => {
    const rounds = own.filter((cell) => cell.scenario === scenario);
    const served = rounds.flatMap((cell) =>
      Array.from({ length: REPETITIONS }, (_, repetition) => {
        const jobs = draw(times, cell.samples.length, repetition);
        return simulate(system, jobs, loadOf(cell, cells));
      }),
    );
    const measured = percentiles(rounds.flatMap(({ samples }) => samples.filter(({ error }) => error === undefined)));
    const simulated = percentilesOf(served.flatMap(({ latencies }) => latencies));
    const rates = [
      median(rounds, perSecond) ?? NaN,
      median(served, (one) => one.latencies.length / one.elapsed) ?? NaN,
    ];
    return [
      scenario.replace('one target, new pictures, ', ''),
      ...rates.map((rate) => rate.toFixed(2)),
      ...[measured.p50, simulated.p50].map((value) => value.toFixed(0)),
      error(simulated.p50, measured.p50),
      ...[measured.p95, simulated.p95].map((value) => value.toFixed(0)),
      error(simulated.p95, measured.p95),
    ];
  });
  return table(
    ['load', 'answers/s', 'simulated', 'p50 ms', 'simulated', 'error', 'p95 ms', 'simulated', 'error'],
    rows,
  );
}

/** The load of a measured cell. */
function loadOf({ scenario, samples, round }: Cell, cells: readonly Cell[]): Load {
  const clients = /(\d+) client/.exec(scenario)?.[1];
  if (clients !== undefined) return { clients: Number(clients) };
  const share = Number(/arrivals at (\d+) %/.exec(scenario)?.[1]) / 100;
  return { arrivals: arrivals(share * capacityOf(cells, round), samples.length, seedOf(round)) };
}

function formulasBesideSimulated(times: ServiceTimes): string {
  const slowest = Math.max(...STAGES.map((stage) => offered(times, stage, 1)));
  const rows = GRID.replicas.flatMap((replicas) =>
    GRID.busy.flatMap((busy) => {
      const rate = (busy * replicas) / slowest;
      const { waits } = steady(times, { encode: replicas, generate: replicas, decode: replicas }, rate);
      return STAGES.map((stage) => {
        const formula = delay(times, stage, rate, replicas);
        const share = percent(offered(times, stage, rate) / replicas);
        return [
          stage,
          String(replicas),
          rate.toFixed(1),
          share,
          ms(formula),
          ms(waits[stage]),
          error(formula, waits[stage]),
        ];
      });
    }),
  );
  return table(['stage', 'replicas', 'questions/s', 'busy', 'formula', 'simulated', 'error'], rows);
}

function replicasAndPrice(times: ServiceTimes): string {
  const rows = LOADS.map((rate) => {
    const need = (stage: Stage) => replicasFor(offered(times, stage, rate));
    const replicas = { encode: need('encode'), generate: need('generate'), decode: need('decode') };
    const cores = STAGES.reduce(
      (sum, stage) => sum + replicas[stage] * coresOf(times, stage),
      rate * times.cpuSeconds.front,
    );
    const capacity = Math.min(...STAGES.map((stage) => replicas[stage] / offered(times, stage, 1)));
    const { waiting, caughtUpSeconds } = coldStart(rate, COLD_START, capacity);
    const { p50, p95 } = percentilesOf(steady(times, replicas, rate).latencies);
    return [
      String(rate),
      ...STAGES.map((stage) => String(replicas[stage])),
      cores.toFixed(1),
      pricePerThousand(rate, cores, CORE_HOUR).toFixed(4),
      ...[p50, p95, waiting, caughtUpSeconds].map((value) => value.toFixed(0)),
    ];
  });
  return table(
    [
      'questions/s',
      ...STAGES,
      'cores',
      'price of 1 000',
      'p50 ms',
      'p95 ms',
      'wait after a cold start',
      'caught up after s',
    ],
    rows,
  );
}

function offered({ mean: seconds, answerGrowth }: ServiceTimes, stage: Stage, rate: number): number {
  return stage === 'generate'
    ? offeredLoad(rate, { seconds: seconds.generate, growth: answerGrowth }, MAX_BATCH)
    : offeredLoad(rate, { seconds: seconds[stage], growth: 1 });
}

/** Seconds in the stage beyond its service time, by formula. */
function delay({ mean: means, variation, answerGrowth }: ServiceTimes, stage: Stage, rate: number, replicas: number) {
  const seconds = means[stage];
  if (stage !== 'generate') return waitingSeconds({ perSecond: rate, seconds, variation: variation[stage], replicas });
  return secondsInBatches({ perSecond: rate, replicas }, { seconds, growth: answerGrowth }) - seconds;
}

/** A long run at one rate, each stage with its own cores: latencies and, by stage, the mean seconds beyond service. */
function steady(times: ServiceTimes, replicas: Readonly<Record<Stage, number>>, rate: number) {
  const load = { arrivals: arrivals(rate, STEADY_JOBS, 0.5) };
  const { latencies, inStation } = simulate(
    { stations: stationsOf(times, replicas) },
    draw(times, STEADY_JOBS, 0),
    load,
  );
  const wait = (stage: Stage) => (mean(inStation[STATIONS.indexOf(stage)] ?? []) ?? NaN) - times.mean[stage];
  return { latencies, waits: { encode: wait('encode'), generate: wait('generate'), decode: wait('decode') } };
}

/** Questions as those of one client, drawn with replacement. */
function draw({ jobs }: ServiceTimes, count: number, seed: number): Job[] {
  const at = randomInt.source(randomLcg((seed + 1) / 2 ** 16))(jobs.length);
  return Array.from({ length: count }, () => jobs[at()] ?? []);
}

function arrivals(rate: number, count: number, seed: number): number[] {
  const gap = randomExponential.source(randomLcg(seed))(rate);
  let at = 0;
  return Array.from({ length: count }, () => (at += gap()));
}

function percentilesOf(seconds: readonly number[]) {
  return percentiles(seconds.map((value) => ({ latencyMs: value * 1000 })));
}

function ms(seconds: number): string {
  return (seconds * 1000).toFixed(0);
}

function percent(share: number): string {
  return `${(share * 100).toFixed(0)} %`;
}

/** How far one value is above another. */
function error(found: number, expected: number): string {
  const more = found / expected - 1;
  return `${more > 0 ? '+' : ''}${percent(more)}`;
}
