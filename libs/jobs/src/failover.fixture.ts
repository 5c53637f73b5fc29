import { setTimeout as sleep } from 'node:timers/promises';
import type { SegueError } from '@segue/core';
import type { RedisServer } from '@segue/local-system';
import { eventsOf, newJob, request, until, type OpenedJobs, type useJobs } from './jobs.fixture.js';

type Fixture = ReturnType<typeof useJobs>;
type Options = Parameters<Fixture['open']>[0];

const CLIENTS = 4;

interface Ended {
  readonly question: string;
  readonly jobId: string;
  readonly events: readonly string[];
}

/** Asks one question after the other, each until it is answered, as a client does that sends again what was not. */
async function ask(jobs: OpenedJobs, client: number, ended: Ended[], stop: AbortSignal): Promise<void> {
  for (let number = 0; !stop.aborted; number++) {
    const question = `${client}/${number}`;
    const job = newJob({ idempotencyKey: question, request: request({ instruction: question }) });
    for (let answered = false; !answered;) {
      try {
        const { jobId } = await jobs.submit(job);
        ended.push({ question, jobId, events: (await eventsOf(jobs, jobId)).map(({ type }) => type) });
        answered = true;
      } catch (error) {
        // What a master took last may be lost with it, and is NOT_FOUND then.
        if (!['UNAVAILABLE', 'NOT_FOUND'].includes((error as SegueError).code)) throw error;
        await sleep(50);
      }
    }
  }
}

/** Everything of a service, each part on its own connections. */
function startService(fixture: Fixture, options: Options): OpenedJobs {
  fixture.startWorkers({}, options);
  const sweeper = fixture.open(options).startSweeper({ forgottenAfterMs: 1_000 });
  fixture.onEnd(() => sweeper.stop());
  return fixture.open({ ...options, role: 'producer' });
}

const away = (jobs: OpenedJobs) => until(async () => !(await jobs.ping()), 5_000);

/** Freezes a master until the end of the test; it is a replica then. Returns when jobs are refused. */
export async function freeze(fixture: Fixture, { program }: RedisServer, jobs: OpenedJobs): Promise<void> {
  program.pause();
  fixture.onEnd(() => Promise.resolve(program.resume()));
  await away(jobs);
}

/** Returns when jobs are refused. */
export async function kill({ program }: RedisServer, jobs: OpenedJobs): Promise<void> {
  await program.kill();
  await away(jobs);
}

/**
 * Asks a service while something happens to its Redis.
 * @param happens until jobs are refused
 * @returns how it went, for people; and the questions that did not get one job of their own, ended once with every mask
 */
export async function askThrough(
  fixture: Fixture,
  options: Options,
  happens: (jobs: OpenedJobs) => Promise<void>,
): Promise<{ course: string; wrong: string[] }> {
  const jobs = startService(fixture, options);
  await until(() => jobs.ping());
  const stop = new AbortController();
  const ended: Ended[] = [];
  const more = (count: number) => until(() => ended.length >= count, 60_000);
  const asking = Promise.all(Array.from({ length: CLIENTS }, (_, client) => ask(jobs, client, ended, stop.signal)));
  await more(CLIENTS);
  const startedAt = performance.now();
  const seconds = () => ((performance.now() - startedAt) / 1000).toFixed(1);
  await happens(jobs);
  await until(() => jobs.ping(), 30_000);
  const [backAfter, before] = [seconds(), ended.length];
  await more(before + 1);
  const course = `there again after ${backAfter} s, a job ended after ${seconds()} s, ${before} jobs before`;
  await more(before + 2 * CLIENTS);
  stop.abort();
  await asking;
  const wrong = ended.flatMap(({ question, jobId, events }) => {
    const count = (type: string) => events.filter((each) => each === type).length;
    const whole = events.at(-1) === 'completed' && count('completed') === 1 && count('segment') === 2;
    const alone = ended.filter((other) => other.jobId === jobId).length === 1;
    return whole && alone ? [] : [`${question} is ${jobId}: ${events.join(' ')}`];
  });
  return { course, wrong };
}
