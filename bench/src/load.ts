import { closedLoop as closed, openLoop as open, type Measured as Loaded, type Outcome } from '@segue/load';
import type { Ask, Reply } from './contestants/contestant.js';
import type { Question } from './workload.js';

/** What became of one question; times in milliseconds. */
export interface Sample extends Pick<Reply, 'firstWordMs' | 'firstMaskMs' | 'stageMs' | 'steps'> {
  readonly latencyMs: number;
  readonly words: number;
  readonly error?: string;
}

export interface Measured {
  readonly samples: readonly Sample[];
  /** From the first question to the last answer. */
  readonly elapsedMs: number;
}

export async function closedLoop(ask: Ask, questions: readonly Question[], clients: number): Promise<Measured> {
  return sampled(await closed(ask, questions, clients));
}

export async function openLoop(
  ask: Ask,
  questions: readonly Question[],
  perSecond: number,
  seed: number,
): Promise<Measured> {
  return sampled(await open(ask, questions, perSecond, seed));
}

function sampled({ outcomes, elapsedMs }: Loaded<Reply>): Measured {
  return { samples: outcomes.map(sampleOf), elapsedMs };
}

/** A contestant in a process of the benchmark's own says itself how long it took. */
function sampleOf({ latencyMs, reply, error }: Outcome<Reply>): Sample {
  if (!reply) return { latencyMs, words: 0, ...(error !== undefined && { error }) };
  const { text, tookMs, firstWordMs, firstMaskMs, stageMs, steps } = reply;
  return {
    latencyMs: tookMs ?? latencyMs,
    words: text.split(' ').length,
    ...(firstWordMs !== undefined && { firstWordMs }),
    ...(firstMaskMs !== undefined && { firstMaskMs }),
    ...(stageMs && { stageMs }),
    ...(steps !== undefined && { steps }),
  };
}
