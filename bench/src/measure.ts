import { median } from 'd3-array';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Contestant } from './contestants/contestant.js';
import { closedLoop, openLoop, type Measured } from './load.js';
import { nameOf, REFERENCE, takesPart, type Plan, type Scenario } from './plan.js';
import { memoryOf, usageOf, type Usage } from './processes.js';
import { markedFor, type Kind, type Question, type Workload } from './workload.js';
import { step } from './workspace.js';

/** One contestant in one scenario of one round. */
export interface Cell extends Measured {
  readonly scenario: string;
  readonly contestant: string;
  readonly round: number;
  /** What its processes used meanwhile. */
  readonly cpuSeconds: Readonly<Record<string, number>>;
  readonly sentBytes: Readonly<Record<string, number>>;
}

/** How many of the compared answers are the same as the first contestant's. */
export interface Agreement {
  readonly contestant: string;
  readonly words: number;
  readonly masks: number;
  readonly of: number;
}

/** Scenarios that show how much a contestant can do. */
const CLOSED = /^one target, new pictures, \d+ client/;
/** Two windows are alike when their medians differ by no more. */
const STABLE = 0.1;
/** Windows before stability is looked for. */
const LEAST_WINDOWS = 5;

/** Asks everyone the same and compares words and masks with the first one's. */
export async function compareAnswers(contestants: readonly Contestant[], workload: Workload, count: number) {
  const kinds: Kind[] = ['one target', 'three targets', 'explained'];
  const asked = await Promise.all(
    kinds.map((kind) => workload.questions(Math.ceil(count / kinds.length), kind, 'new')),
  );
  const questions = asked.flat();
  const answers: { readonly text: string; readonly masks: string }[][] = [];
  for (const { name, ask } of contestants) {
    const own = [];
    for (const question of markedFor(name, questions)) {
      const { text, masks } = await ask(question);
      own.push({ text, masks: JSON.stringify(masks) });
    }
    answers.push(own);
  }
  return contestants.map(({ name: contestant }, place): Agreement => {
    const same = (part: 'text' | 'masks') =>
      questions.filter((_, index) => answers[place]?.[index]?.[part] === answers[0]?.[index]?.[part]).length;
    return { contestant, words: same('text'), masks: same('masks'), of: questions.length };
  });
}

/** Asks until two windows in a row take the same time, or the plan's limit; gives the windows' medians. */
export async function warmUp({ ask }: Contestant, workload: Workload, { window, atMost }: Plan['warmUp']) {
  const medians: number[] = [];
  while (medians.length < atMost) {
    const questions = await workload.questions(window, 'one target', 'new');
    const { samples } = await closedLoop(ask, questions, 1);
    medians.push(median(samples, ({ latencyMs }) => latencyMs) ?? 0);
    const [before = 0, last = 0] = medians.slice(-2);
    if (medians.length >= LEAST_WINDOWS && Math.abs(last - before) <= STABLE * before) break;
  }
  return medians;
}

/** CPU seconds a second of processes that nobody asks anything. */
export async function idleCost(contestants: readonly Contestant[], ms: number) {
  const before = contestants.map(({ processes }) => usageOf(processes));
  await sleep(ms);
  return contestants.map(({ name: contestant, processes }, place) => {
    const used = difference(usageOf(processes), before[place]);
    return { contestant, cores: sum(used.cpuSeconds) / (ms / 1000) };
  });
}

/** All rounds, contestants one after another within each scenario, who begins changing from round to round. */
export async function runRounds(contestants: readonly Contestant[], workload: Workload, plan: Plan): Promise<Cell[]> {
  const cells: Cell[] = [];
  for (let round = 0; round < plan.rounds; round++) {
    for (const scenario of plan.scenarios) {
      const name = nameOf(scenario);
      step(`Round ${round + 1} of ${plan.rounds}: ${name}`);
      const turn = contestants.map((_, place) => contestants[(place + round) % contestants.length]);
      const capacity = capacityOf(cells, round);
      const questions = await workload.questions(plan.questions, scenario.kind, scenario.pictures);
      for (const contestant of turn) {
        if (!contestant || !takesPart(contestant, scenario)) continue;
        const before = usageOf(contestant.processes);
        const own = markedFor(contestant.name, questions);
        const measured = await put(contestant, scenario, own, capacity, round);
        const used = difference(usageOf(contestant.processes), before);
        cells.push({ ...measured, ...used, scenario: name, contestant: contestant.name, round });
      }
    }
  }
  return cells;
}

export function memory(contestants: readonly Contestant[]) {
  return contestants.map(({ name: contestant, processes }) => ({
    contestant,
    mib: Object.fromEntries(memoryOf(processes)),
  }));
}

function put(
  { ask, stream }: Contestant,
  { load, streamed }: Scenario,
  questions: readonly Question[],
  capacity: number,
  round: number,
): Promise<Measured> {
  if (load.type === 'open') return openLoop(ask, questions, load.share * capacity, seedOf(round));
  return closedLoop(streamed && stream ? stream : ask, questions, load.clients);
}

/** Of an open loop's arrivals. */
export function seedOf(round: number): number {
  return 0.5 + round / 1000;
}

/** Questions a second that the reference answered at best in this round, about new pictures in a closed loop. */
export function capacityOf(cells: readonly Cell[], round: number): number {
  const own = cells.filter(
    (cell) => cell.round === round && cell.contestant === REFERENCE && CLOSED.test(cell.scenario),
  );
  return Math.max(1 / 60, ...own.map(({ samples, elapsedMs }) => samples.length / (elapsedMs / 1000)));
}

function difference(after: Usage, before: Usage | undefined): Pick<Cell, 'cpuSeconds' | 'sentBytes'> {
  const less = (now: ReadonlyMap<string, number>, then: ReadonlyMap<string, number> | undefined) =>
    Object.fromEntries([...now].map(([name, value]) => [name, Math.max(0, value - (then?.get(name) ?? 0))]));
  return {
    cpuSeconds: less(after.cpuSeconds, before?.cpuSeconds),
    sentBytes: less(after.sentBytes, before?.sentBytes),
  };
}

function sum(values: Readonly<Record<string, number>>): number {
  return Object.values(values).reduce((total, value) => total + value, 0);
}
