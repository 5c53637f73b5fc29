import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { SegueClient } from '@segue/client';
import type { Answer, JobEvent } from '@segue/core';
import { LocalSystem, type LocalApp } from '@segue/local-system';
import { runCommand, step } from './terminal.js';
import { ROOT } from './workspace.js';

// What an autoscaler does to the workers, as processes of this machine: their numbers follow STEPS while jobs come without
// a pause, and every other one that goes is killed instead of told to stop.

const JOBS = 2_000;
/** Jobs that are under way at the same time. */
const AT_ONCE = 40;
/** Workers of each stage. */
const STEPS = [1, 6, 2, 0, 3];
const WORKERS: readonly LocalApp['kind'][] = ['encoder-worker', 'llm-worker', 'decoder-worker'];
const BUNDLE = join(ROOT, 'models/tiny-random');
/** Asked in turn; each has one right answer, since decoding is greedy. */
const QUESTIONS = ['wide', 'tall'].flatMap((picture) => {
  const image = readFileSync(join(BUNDLE, `golden/${picture}.png`));
  return ['What is here?', 'Where is the cup?', 'What can I sit on?'].map((instruction) => ({
    image,
    instruction,
    answers: new Set<string>(),
  }));
});
/** A worker that was killed is missed after 10 s, and there may be none for a while. */
const TIMEOUT_MS = 600_000;

/** Workers that have gone. */
let gone = 0;
const begunAt = performance.now();
const tell = (what: string) =>
  console.log(`${((performance.now() - begunAt) / 1000).toFixed(1).padStart(7)} s  ${what}`);

await runCommand(async () => {
  step(`Rehearsing: ${JOBS} jobs, workers of each stage ${STEPS.join(' → ')}, every other one that goes is killed`);
  const system = await LocalSystem.start({
    bundleDir: BUNDLE,
    replicas: { gateway: 2 },
    env: {
      SEGUE_LOG_LEVEL: 'warn',
      // Jobs wait for workers that are yet to be started, and are kept until they have been looked at.
      SEGUE_SCALABLE_STAGES: 'encode,generate,decode',
      SEGUE_MAX_STARTING_DEPTH: String(JOBS),
    },
  });
  try {
    return await rehearse(system);
  } finally {
    await system.stop();
  }
});

async function rehearse(system: LocalSystem): Promise<number> {
  const clients = system.apps
    .filter(({ kind }) => kind === 'gateway')
    .map(({ url }) => new SegueClient({ baseUrl: url }));
  const wrong: string[] = [];
  let submitted = 0;
  let done = 0;
  let answered = 0;

  const askOn = async (): Promise<void> => {
    while (submitted < JOBS) {
      const number = submitted++;
      const { image, instruction, answers } = pick(QUESTIONS, number);
      const client = pick(clients, number);
      try {
        const { jobId } = await client.jobs.submit({ image, instruction, timeoutMs: TIMEOUT_MS });
        const events: JobEvent[] = [];
        for await (const event of client.jobs.watch(jobId)) events.push(event);
        answers.add(contentOf(events));
        answered++;
      } catch (error) {
        wrong.push(`job ${number}: ${error instanceof Error ? error.message : String(error)}`);
      }
      done++;
    }
  };
  const asking = Promise.all(Array.from({ length: AT_ONCE }, askOn));

  for (const [index, count] of STEPS.entries()) {
    // Each number of workers sees its share of the jobs; with none nothing is answered, so time has to do.
    const share = Math.ceil((JOBS * (index + 1)) / STEPS.length);
    await scale(system, count);
    tell(`${count} of each, ${done} of ${JOBS} jobs done`);
    if (count === 0) await sleep(5_000);
    else if (index < STEPS.length - 1) while (done < share && done < submitted) await sleep(100);
  }
  await asking;

  for (const { instruction, answers } of QUESTIONS) {
    if (answers.size > 1) wrong.push(`“${instruction}” has ${answers.size} answers: ${[...answers].join(' | ')}`);
  }
  tell(`${answered} of ${JOBS} jobs answered, each once; ${wrong.length} went wrong`);
  for (const what of wrong.slice(0, 20)) console.log(`  ${what}`);
  return wrong.length === 0 && answered === JOBS ? 0 : 1;
}

/** In turn. */
function pick<T>(list: readonly T[], number: number): T {
  const picked = list[number % list.length];
  if (picked === undefined) throw new Error('there is nothing to pick from');
  return picked;
}

/** Brings every stage to this number of workers, all at the same time, as it is when everything scales. */
async function scale(system: LocalSystem, count: number): Promise<void> {
  await Promise.all(
    WORKERS.map(async (kind) => {
      const running = system.apps.filter((app) => app.kind === kind);
      const surplus = running.slice(count);
      const missing = Array.from({ length: Math.max(0, count - running.length) }, () => system.add(kind));
      await Promise.all([...missing, ...surplus.map(({ name }) => remove(system, name))]);
    }),
  );
}

async function remove(system: LocalSystem, name: string): Promise<void> {
  const killed = gone++ % 2 === 1;
  const app = system.app(name);
  if (killed) await app.kill();
  await system.remove(name);
  if (!killed && !app.ended?.endsWith('status 0'))
    throw new Error(`${name}, told to stop, ${app.ended}:\n${app.output}`);
}

/**
 * What a job's events tell, once it is completed.
 * @throws Error when they tell something twice, or another thing than the answer.
 */
function contentOf(events: readonly JobEvent[]): string {
  const endings = events.filter(({ type }) => ['completed', 'failed', 'cancelled'].includes(type));
  const [end] = endings;
  if (endings.length !== 1 || end?.type !== 'completed') throw new Error(`it ended as ${JSON.stringify(endings)}`);
  const { answer } = end;
  const since = events.slice(events.findLastIndex(({ type }) => type === 'restarted') + 1);
  const text = since.flatMap((event) => (event.type === 'text' ? [event.text] : [])).join('');
  const segments = since.flatMap((event) => (event.type === 'segment' ? [event.segment.index] : []));
  if (text !== answer.text) throw new Error(`its words were “${text}”, its answer “${answer.text}”`);
  const expected = answer.segments.map(({ index }) => index);
  if (String(segments.sort((a, b) => a - b)) !== String(expected))
    throw new Error(`its masks were ${String(segments)}, those of its answer ${String(expected)}`);
  return masksAndText(answer);
}

function masksAndText({ text, segments }: Answer): string {
  return JSON.stringify([text, ...segments.map(({ mask }) => (mask as { counts?: string }).counts)]);
}
