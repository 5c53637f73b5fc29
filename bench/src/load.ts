import { performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { randomExponential, randomLcg } from 'd3-random';
import type { Ask, Reply } from './contestants/contestant.js';
import type { Question } from './workload.js';

/** What became of one question; times in milliseconds. */
export interface Sample extends Pick<Reply, 'firstWordMs' | 'firstMaskMs'> {
  readonly latencyMs: number;
  readonly words: number;
  readonly error?: string;
}

export interface Measured {
  readonly samples: readonly Sample[];
  /** From the first question to the last answer. */
  readonly elapsedMs: number;
}

/** Closed loop: each client asks, waits for the answer and asks the next question. */
export async function closedLoop(ask: Ask, questions: readonly Question[], clients: number): Promise<Measured> {
  const remaining = questions.values();
  const samples: Sample[] = [];
  const startedAt = performance.now();
  const client = async () => {
    for (const question of remaining) samples.push(await take(ask, question, performance.now()));
  };
  await Promise.all(Array.from({ length: clients }, client));
  return { samples, elapsedMs: performance.now() - startedAt };
}

/**
 * Open loop: questions arrive by a Poisson process at `perSecond`, whether earlier ones are answered or not. A latency
 * counts from the planned arrival, so that waiting is never left out.
 */
export async function openLoop(
  ask: Ask,
  questions: readonly Question[],
  perSecond: number,
  seed: number,
): Promise<Measured> {
  const gap = randomExponential.source(randomLcg(seed))(perSecond / 1000);
  const startedAt = performance.now();
  const running: Promise<Sample>[] = [];
  let arrival = startedAt;
  for (const question of questions) {
    arrival += gap();
    const plannedAt = arrival;
    await sleep(Math.max(0, plannedAt - performance.now()));
    running.push(take(ask, question, plannedAt));
  }
  const samples = await Promise.all(running);
  return { samples, elapsedMs: performance.now() - startedAt };
}

async function take(ask: Ask, question: Question, startedAt: number): Promise<Sample> {
  try {
    const { text, tookMs, firstWordMs, firstMaskMs } = await ask(question);
    const latencyMs = tookMs ?? performance.now() - startedAt;
    return {
      latencyMs,
      words: text.split(' ').length,
      ...(firstWordMs !== undefined && { firstWordMs }),
      ...(firstMaskMs !== undefined && { firstMaskMs }),
    };
  } catch (error) {
    return { latencyMs: performance.now() - startedAt, words: 0, error: String(error) };
  }
}
