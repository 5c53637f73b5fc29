/** One stage of replicas that each do one thing at a time. */
export interface StageLoad {
  /** Questions a second that come to the stage. */
  readonly perSecond: number;
  /** Mean service time in seconds. */
  readonly seconds: number;
  /** Coefficient of variation of the service time: standard deviation by mean. */
  readonly variation: number;
  readonly replicas: number;
}

/** How long a batch takes: seconds for the first row, and what each further one adds as a share of that. */
export interface BatchTime {
  readonly seconds: number;
  readonly growth: number;
}

/** Share of its time that a replica is busy when replicas are counted. */
const BUSY = 0.7;

/** Seconds that a batch of `rows` takes. */
export function batchSeconds({ seconds, growth }: BatchTime, rows: number): number {
  return seconds * (1 + growth * (rows - 1));
}

/**
 * Replicas that are busy on average: arrivals a second by seconds of work each (offered load in Erlang). Where work is done
 * in batches, the seconds of a full batch by its rows, since batches fill up as load grows.
 */
export function offeredLoad(perSecond: number, time: BatchTime, maxBatch = 1): number {
  return (perSecond * batchSeconds(time, maxBatch)) / maxBatch;
}

/** Replicas of which `BUSY` are busy; beyond that, waiting grows faster than load. */
export function replicasFor(offered: number): number {
  return Math.max(1, Math.ceil(offered / BUSY));
}

/**
 * Mean seconds before service begins in M/G/c (Sakasegawa 1977, "An approximation formula Lq = αρ^β/(1-ρ)"); exact for one
 * replica (Pollaczek-Khinchine). Infinity where the replicas cannot keep up.
 */
export function waitingSeconds({ perSecond, seconds, variation, replicas }: StageLoad): number {
  const busy = (perSecond * seconds) / replicas;
  if (busy >= 1) return Infinity;
  const delayed = busy ** (Math.sqrt(2 * (replicas + 1)) - 1);
  return (((1 + variation ** 2) / 2) * seconds * delayed) / (replicas * (1 - busy));
}

/**
 * Upper bound of the mean seconds of waiting and service together, where a replica that becomes free takes all that wait as
 * one batch (Inoue 2021, "Queueing analysis of GPU-based inference servers with dynamic batching", theorem 2, with a batch's
 * time τ0 + α rows). Of one replica with an equal share of the questions: replicas that share a queue do a little better.
 */
export function secondsInBatches({ perSecond, replicas }: Omit<StageLoad, 'seconds' | 'variation'>, time: BatchTime) {
  const rate = perSecond / replicas;
  const each = time.seconds * time.growth;
  const fixed = time.seconds - each;
  const busy = rate * each;
  if (busy >= 1) return Infinity;
  const light = (time.seconds / (2 * (1 - busy))) * (1 + 2 * rate * fixed + (1 - rate * fixed) / (1 + busy));
  const heavy = (1.5 * fixed) / (1 - busy) + ((each / 2) * (busy + 2)) / (1 - busy ** 2);
  return Math.min(light, heavy);
}

/**
 * What a cold start of so many seconds leaves behind: questions that wait when the replicas begin (fluid limit), and the
 * seconds until they have caught up, if together they answer `capacity` questions a second.
 */
export function coldStart(perSecond: number, seconds: number, capacity: number) {
  const waiting = perSecond * seconds;
  return { waiting, caughtUpSeconds: capacity > perSecond ? waiting / (capacity - perSecond) : Infinity };
}

/** Of 1 000 questions, in the currency of the core-hour's price, for so many cores that are paid for. */
export function pricePerThousand(perSecond: number, cores: number, coreHour: number): number {
  return (((1000 / perSecond) * cores) / 3600) * coreHour;
}
