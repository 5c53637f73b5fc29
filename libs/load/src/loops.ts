import { setTimeout as sleep } from 'node:timers/promises';
import { randomExponential, randomLcg } from 'd3-random';

/** @throws Error when there is no answer. */
export type Ask<Question, Reply> = (question: Question) => Promise<Reply>;

/** What became of one question; times in milliseconds. */
export interface Outcome<Reply> {
  readonly latencyMs: number;
  readonly reply?: Reply;
  readonly error?: string;
}

export interface Measured<Reply> {
  readonly outcomes: readonly Outcome<Reply>[];
  /** From the first question to the last answer. */
  readonly elapsedMs: number;
}

/** Closed loop: each client asks, waits for the answer and asks the next question. */
export async function closedLoop<Question, Reply>(
  ask: Ask<Question, Reply>,
  questions: Iterable<Question>,
  clients: number,
): Promise<Measured<Reply>> {
  const remaining = questions[Symbol.iterator]();
  const outcomes: Outcome<Reply>[] = [];
  const startedAt = performance.now();
  const client = async () => {
    for (let next = remaining.next(); !next.done; next = remaining.next()) {
      outcomes.push(await take(ask, next.value, performance.now()));
    }
  };
  await Promise.all(Array.from({ length: clients }, client));
  return { outcomes, elapsedMs: performance.now() - startedAt };
}

/**
 * Open loop: questions arrive by a Poisson process at `perSecond`, whether earlier ones are answered or not. A latency
 * counts from the planned arrival, so that waiting is never left out.
 */
export async function openLoop<Question, Reply>(
  ask: Ask<Question, Reply>,
  questions: Iterable<Question>,
  perSecond: number,
  seed: number,
): Promise<Measured<Reply>> {
  const gap = randomExponential.source(randomLcg(seed))(perSecond / 1000);
  const startedAt = performance.now();
  const running: Promise<Outcome<Reply>>[] = [];
  let arrival = startedAt;
  for (const question of questions) {
    arrival += gap();
    const plannedAt = arrival;
    await sleep(Math.max(0, plannedAt - performance.now()));
    running.push(take(ask, question, plannedAt));
  }
  return { outcomes: await Promise.all(running), elapsedMs: performance.now() - startedAt };
}

async function take<Question, Reply>(
  ask: Ask<Question, Reply>,
  question: Question,
  startedAt: number,
): Promise<Outcome<Reply>> {
  try {
    const reply = await ask(question);
    return { latencyMs: performance.now() - startedAt, reply };
  } catch (error) {
    return { latencyMs: performance.now() - startedAt, error: String(error) };
  }
}
