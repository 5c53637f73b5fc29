import { setTimeout as sleep } from 'node:timers/promises';
import type { Answer } from '@segue/core';
import { expect } from 'vitest';
import { ask } from './cluster.js';

interface Question {
  readonly image: Uint8Array;
  readonly instruction: string;
}

interface Outcome {
  readonly ended: number;
  readonly failed: readonly string[];
  readonly answers: readonly (Answer & { readonly question: string })[];
  /** The longest time in which nobody got an answer. */
  readonly quietMs: number;
}

type Disturbance = (open: ReadonlySet<string>) => Promise<void>;

const TIMEOUT_MS = 600_000;

/** Keeps so many jobs under way while something is done, and waits until all have ended. */
export function whileJobsRun(image: Uint8Array, atOnce: number, disturb: Disturbance): Promise<Outcome> {
  const questionOf = (place: number, turn: number) => ({
    image,
    instruction: `Where is the drink? (${place}, ${turn})`,
  });
  return keepAsking(Array<typeof byJob>(atOnce).fill(byJob), questionOf, disturb);
}

/** Keeps as many jobs as requests that wait for their answer under way, with the questions in turn. */
export function whileAsked(questions: readonly Question[], ofEach: number, disturb: Disturbance): Promise<Outcome> {
  const ways = Array.from({ length: ofEach }, () => [byJob, inOneRequest]).flat();
  const questionOf = (place: number, turn: number) => questions[(place + turn) % questions.length] as Question;
  return keepAsking(ways, questionOf, disturb);
}

type Way = (question: Question, open: Set<string>) => Promise<Answer>;

async function keepAsking(
  ways: readonly Way[],
  questionOf: (place: number, turn: number) => Question,
  disturb: Disturbance,
): Promise<Outcome> {
  const open = new Set<string>();
  const failed: string[] = [];
  const answers: (Answer & { question: string })[] = [];
  let ended = 0;
  let answeredAt = performance.now();
  let quietMs = 0;
  let enough = false;
  const asking = ways.map(async (way, place) => {
    for (let turn = 0; turn === 0 || !enough; turn++) {
      const question = questionOf(place, turn);
      await way(question, open).then(
        (answer) => {
          answers.push({ ...answer, question: question.instruction });
          quietMs = Math.max(quietMs, performance.now() - answeredAt);
          answeredAt = performance.now();
        },
        (error: unknown) => failed.push(String(error)),
      );
      ended++;
    }
  });
  const asked = Promise.all(asking);
  const jobs = ways.filter((way) => way === byJob).length;
  try {
    await expect.poll(() => open.size, { timeout: 60_000, interval: 50 }).toBeGreaterThan(jobs / 2);
    await disturb(open);
  } finally {
    enough = true;
    await asked;
  }
  return { ended, failed, answers, quietMs };
}

function inOneRequest(question: Question): Promise<Answer> {
  return ask((client) => client.segment({ ...question, timeoutMs: TIMEOUT_MS }));
}

/** @throws Error with the whole job when it failed. */
async function byJob(question: Question, open: Set<string>): Promise<Answer> {
  const { jobId } = await ask((client) => client.jobs.submit({ ...question, timeoutMs: TIMEOUT_MS }));
  open.add(jobId);
  for (;;) {
    const job = await ask((client) => client.jobs.get(jobId));
    if (['completed', 'failed', 'cancelled'].includes(job.state)) {
      open.delete(jobId);
      if (job.answer) return job.answer;
      throw new Error(JSON.stringify(job));
    }
    await sleep(200);
  }
}
