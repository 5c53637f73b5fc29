import { setTimeout as sleep } from 'node:timers/promises';
import { SegueError } from '@segue/core';
import type { Asker, Content, Question, SeenEvent } from './askers.js';
import type { PlannedJob } from './plan.js';

/** What a client knows of its job in the end. */
export interface Outcome {
  readonly job: PlannedJob;
  /** Nothing where the service took no job, which only some habits allow. */
  readonly jobId?: string;
  /** As they were seen, where the job was watched. */
  readonly events?: readonly SeenEvent[];
  /** What the call returned, where it was not. */
  readonly answer?: Content;
  /** Milliseconds by the clock of this process, from its start. */
  readonly begunAtMs: number;
  readonly endedAtMs: number;
  /** Calls that were refused or broke, and were made again. */
  readonly repeated: number;
}

/** Long enough for every fault, and short enough for a run to end. */
const TIMEOUT_MS = 240_000;
const HURRIED_MS = 400;
const PAUSE_MS = 250;
const LONGEST_PAUSE_MS = 2_000;

/** Codes that a client makes the same call again for. */
const PASSING = new Set<string>(['UNAVAILABLE', 'RESOURCE_EXHAUSTED']);

/**
 * Asks as the plan says and follows the job to its end, as a client does that has its wits about it: what is refused for
 * a passing reason is asked again under the same key.
 * @param askers by gateway, over the transport of the plan.
 * @throws SegueError what no client should have to see.
 */
export async function drive(
  job: PlannedJob,
  askers: readonly Asker[],
  { image, instruction }: Pick<Question, 'image' | 'instruction'>,
  key: string,
): Promise<Outcome> {
  const begunAtMs = performance.now();
  const first = at(askers, job.gateway);
  const second = at(askers, job.gateway + 1);
  const question = { image, instruction, timeoutMs: TIMEOUT_MS, idempotencyKey: key };
  let repeated = 0;

  const persist = async <T>(call: (attempt: number) => Promise<T>): Promise<T> => {
    for (let attempt = 0; ; attempt++) {
      try {
        return await call(attempt);
      } catch (error) {
        const passes = error instanceof SegueError && PASSING.has(error.code);
        if (!passes || performance.now() - begunAtMs > TIMEOUT_MS) throw error;
        repeated++;
        await sleep(Math.min(error.retryAfterMs ?? PAUSE_MS, LONGEST_PAUSE_MS));
      }
    }
  };
  /** Reads to the last event, over whichever gateway answers. */
  const follow = async (known: string | undefined): Promise<SeenEvent[]> => {
    const events: SeenEvent[] = [];
    await persist(async (attempt) => {
      const asker = at(askers, job.gateway + attempt);
      const jobId = known ?? events[0]?.jobId;
      const source = jobId === undefined ? asker.stream(question) : asker.watch(jobId, events.at(-1)?.id);
      for await (const event of source) events.push(event);
      if (!isLast(events.at(-1))) throw new SegueError('UNAVAILABLE', 'The stream ended before the job did.');
    });
    return events;
  };
  const done = (rest: Pick<Outcome, 'jobId' | 'events' | 'answer'>): Outcome => {
    return { job, begunAtMs, endedAtMs: performance.now(), repeated, ...rest };
  };

  switch (job.habit) {
    case 'leaves': {
      const { idempotencyKey: _none, ...unkeyed } = question;
      return done(await leave(first, unkeyed));
    }
    case 'hurried': {
      const hurried = { ...question, timeoutMs: HURRIED_MS };
      const jobId = await persist(() => first.submit(hurried));
      return done({ jobId, events: await follow(jobId) });
    }
    case 'cancels': {
      const jobId = await persist(() => first.submit(question));
      await persist(() => second.cancel(jobId));
      return done({ jobId, events: await follow(jobId) });
    }
    case 'sends twice': {
      const [jobId, again] = await Promise.all([first, second].map((asker) => persist(() => asker.submit(question))));
      if (jobId !== again) throw new SegueError('INTERNAL', `one key made two jobs: ${jobId} and ${again}`);
      return done({ jobId: jobId as string, events: await follow(jobId) });
    }
    case 'patient':
      break;
  }
  switch (job.way) {
    case 'call':
      return done(await persist((attempt) => at(askers, job.gateway + attempt).call(question)));
    case 'stream': {
      const events = await follow(undefined);
      return done({ events, ...(events[0] && { jobId: events[0].jobId }) });
    }
    case 'job': {
      const jobId = await persist((attempt) => at(askers, job.gateway + attempt).submit(question));
      return done({ jobId, events: await follow(jobId) });
    }
  }
}

/** Goes away as soon as it has heard of its job; where the job is already over, or none was made, it has nothing to leave. */
async function leave(asker: Asker, question: Question): Promise<Pick<Outcome, 'jobId'>> {
  const leaving = new AbortController();
  let jobId: string | undefined;
  try {
    for await (const event of asker.stream(question, leaving.signal)) {
      jobId = event.jobId;
      leaving.abort();
    }
  } catch (error) {
    if (!(error instanceof SegueError && (error.code === 'CANCELLED' || PASSING.has(error.code)))) throw error;
  }
  return jobId === undefined ? {} : { jobId };
}

export function isLast(event: SeenEvent | undefined): boolean {
  return event !== undefined && ['completed', 'failed', 'cancelled'].includes(event.type);
}

function at<T>(list: readonly T[], index: number): T {
  return list[index % list.length] as T;
}
