import { randomInt, randomLcg } from 'd3-random';
import { FAULTS, type FaultName } from './faults.js';

export const TRANSPORTS = ['http', 'grpc'] as const;
export type Transport = (typeof TRANSPORTS)[number];

/** How an answer is asked for: in one call, as a stream, or as a job that is watched. */
const WAYS = ['call', 'stream', 'job'] as const;

/** What a client does besides; most do nothing. */
const HABITS = ['patient', 'leaves', 'cancels', 'sends twice', 'hurried'] as const;
const PATIENT_SHARE = 0.75;

export interface PlannedJob {
  readonly number: number;
  /** Which of the questions is asked. */
  readonly question: number;
  readonly transport: Transport;
  readonly gateway: number;
  readonly way: (typeof WAYS)[number];
  readonly habit: (typeof HABITS)[number];
}

/** Jobs in whose midst one thing goes wrong. */
export interface Round {
  readonly fault: FaultName;
  readonly jobs: readonly PlannedJob[];
}

export interface PlanOptions {
  readonly jobs: number;
  readonly seed: number;
  readonly questions: number;
  /** All unless given; each comes at least once, in an order of the seed's. */
  readonly faults?: readonly FaultName[];
}

/** Jobs of one round, about. */
const JOBS_A_ROUND = 150;

export type Random = () => number;

/** Numbers in [0, 1), the same for the same seed. */
export function seeded(seed: number): Random {
  return randomLcg(seed / 2 ** 16);
}

export function pick<T>(list: readonly T[], random: Random): T {
  const picked = list[randomInt.source(random)(list.length)()];
  if (picked === undefined) throw new Error('there is nothing to pick from');
  return picked;
}

/** The same plan for the same options. */
export function plan({ jobs, seed, questions, faults = Object.keys(FAULTS) as FaultName[] }: PlanOptions): Round[] {
  const random = seeded(seed);
  const repeats = Math.max(1, Math.round(jobs / JOBS_A_ROUND / faults.length));
  const order = Array.from({ length: repeats }, () => shuffled(faults, random)).flat();
  return order.map((fault, round) => {
    const [from, to] = [round, round + 1].map((edge) => Math.round((edge * jobs) / order.length)) as [number, number];
    return {
      fault,
      jobs: Array.from({ length: to - from }, (_, index) => plannedJob(from + index, questions, random)),
    };
  });
}

function plannedJob(number: number, questions: number, random: Random): PlannedJob {
  const habit = random() < PATIENT_SHARE ? 'patient' : pick(HABITS, random);
  const question = randomInt.source(random)(questions)();
  const gateway = randomInt.source(random)(2)();
  return { number, question, transport: pick(TRANSPORTS, random), gateway, way: pick(WAYS, random), habit };
}

function shuffled<T>(list: readonly T[], random: Random): T[] {
  return list
    .map((item) => ({ item, at: random() }))
    .sort((a, b) => a.at - b.at)
    .map(({ item }) => item);
}
