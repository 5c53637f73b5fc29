import type { Contestant } from './contestants/contestant.js';
import type { Kind, Pictures } from './workload.js';

/** One situation that every contestant is put in. */
export interface Scenario {
  readonly kind: Kind;
  readonly pictures: Pictures;
  readonly load: Load;
  /** Ask for the answer bit by bit, where a contestant can. */
  readonly streamed?: boolean;
}

export type Load =
  | { readonly type: 'closed'; readonly clients: number }
  /** Arrivals as a share of what `REFERENCE` answers in the closed loop. */
  | { readonly type: 'open'; readonly share: number };

export interface Plan {
  readonly rounds: number;
  /** Questions of one contestant in one scenario of one round. */
  readonly questions: number;
  readonly scenarios: readonly Scenario[];
  readonly warmUp: { readonly window: number; readonly atMost: number };
  /** Questions whose answers are compared first. */
  readonly compared: number;
  /** How long the idle contestants are watched. */
  readonly idleMs: number;
}

/** Whose throughput with new pictures the open loop's arrivals are a share of. */
export const REFERENCE = 'Segue HTTP';

const closed = (kind: Kind, pictures: Pictures, clients: number): Scenario => ({
  kind,
  pictures,
  load: { type: 'closed', clients },
});
const open = (share: number): Scenario => ({ kind: 'one target', pictures: 'new', load: { type: 'open', share } });
const streamed: Scenario = { ...closed('explained', 'new', 1), streamed: true };

/** Node needs some fifty questions before its compiler has settled: five windows of ten. */
export const FULL: Plan = {
  rounds: 5,
  questions: 24,
  scenarios: [
    ...[1, 2, 4, 8].map((clients) => closed('one target', 'new', clients)),
    ...[1, 4, 8].map((clients) => closed('one target', 'repeated', clients)),
    ...[1, 4].map((clients) => closed('three targets', 'new', clients)),
    ...[1, 4].map((clients) => closed('explained', 'new', clients)),
    streamed,
    ...[0.5, 0.8, 0.95, 1.2].map(open),
  ],
  warmUp: { window: 10, atMost: 10 },
  compared: 24,
  idleMs: 20_000,
};

/** Shows in minutes that everything works; its figures say little. */
export const QUICK: Plan = {
  rounds: 1,
  questions: 6,
  scenarios: [
    closed('one target', 'new', 1),
    closed('one target', 'new', 4),
    closed('one target', 'repeated', 1),
    closed('three targets', 'new', 4),
    streamed,
    open(0.8),
  ],
  warmUp: { window: 3, atMost: 2 },
  compared: 3,
  idleMs: 3_000,
};

export function takesPart({ serial, stream }: Contestant, { load, pictures, streamed }: Scenario): boolean {
  if (streamed) return stream !== undefined;
  if (serial) return load.type === 'closed' && load.clients === 1 && pictures === 'new';
  return true;
}

export function nameOf({ kind, pictures, load, streamed }: Scenario): string {
  const how =
    load.type === 'closed'
      ? `${load.clients} client${load.clients === 1 ? '' : 's'}`
      : `arrivals at ${load.share * 100} %`;
  return `${kind}, ${pictures} pictures, ${how}${streamed ? ', streamed' : ''}`;
}
