import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { SegueError } from '@segue/core';
import { KEYS, PREFIX } from '@segue/redis';
import type { Asker, Content, SeenEvent } from './askers.js';
import { isLast, type Outcome } from './driver.js';
import type { PlannedJob } from './plan.js';

/** How jobs may end, by what their clients did. A failure is always told by its code. */
const ENDINGS: Readonly<Record<PlannedJob['habit'], readonly string[]>> = {
  patient: ['completed'],
  'sends twice': ['completed'],
  leaves: ['cancelled', 'completed'],
  cancels: ['cancelled', 'completed'],
  hurried: ['DEADLINE_EXCEEDED', 'completed'],
};

/** How late a job ended after its deadline, in milliseconds; nothing where it did not end by it. */
export interface Checked {
  readonly faults: readonly string[];
  readonly lateMs?: number;
}

/**
 * Looks at one job as somebody else finds it: over another gateway and another transport than its client's.
 * @param calm the answer of the same question when nothing goes wrong.
 */
export async function checkJob(outcome: Outcome, asker: Asker, calm: Content): Promise<Checked> {
  const { job, jobId } = outcome;
  if (jobId === undefined) return { faults: job.habit === 'leaves' ? [] : ['no job was made'] };
  const faults: string[] = [];
  const expect = (holds: boolean, what: string): void => void (holds || faults.push(`${jobId}: ${what}`));

  const log: SeenEvent[] = [];
  for await (const event of asker.watch(jobId)) log.push(event);
  const fetched = await asker.get(jobId);
  const endings = log.filter(isLast);
  const [end] = endings;
  expect(endings.length === 1 && isLast(log.at(-1)), `its log has ${endings.length} endings`);
  expect(end?.type === fetched.state, `its log says ${end?.type}, its state ${fetched.state}`);
  const ending = end?.type === 'failed' ? (end.code ?? '') : (end?.type ?? 'nothing');
  expect(ENDINGS[job.habit].includes(ending), `it ended as ${ending} (${fetched.error?.message ?? ''})`);
  expect(end?.code === fetched.error?.code, `its log says ${end?.code}, its error ${fetched.error?.code}`);

  const ids = (events: readonly SeenEvent[]) => events.map(({ id }) => id).join(' ');
  if (outcome.events)
    expect(ids(outcome.events) === ids(log), `seen were ${types(outcome.events)}; it has ${types(log)}`);
  if (outcome.answer) expect(same(outcome.answer, fetched.answer), 'the call returned another answer than the job has');
  if (end?.type === 'completed') {
    expect(same(end.answer, fetched.answer), 'its last event holds another answer than the job');
    expect(
      same(written(log), fetched.answer),
      `its events tell “${written(log)[0]}”, its answer “${fetched.answer?.[0]}”`,
    );
    expect(same(fetched.answer, calm), `it was answered “${fetched.answer?.[0]}”, and in calm “${calm[0]}”`);
  }
  return { faults, ...(ending === 'DEADLINE_EXCEEDED' && end && { lateMs: end.atMs - fetched.deadlineAtMs }) };
}

/** What the events tell of the answer, those before a new beginning left out. */
function written(log: readonly SeenEvent[]): Content {
  const since = log.slice(log.findLastIndex(({ type }) => type === 'restarted') + 1);
  const segments = since.flatMap(({ segment }) => (segment ? [segment] : [])).sort((a, b) => a.index - b.index);
  return [since.map(({ text = '' }) => text).join(''), ...segments.map(({ counts }) => counts)];
}

function same(a: Content | undefined, b: Content | undefined): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

function types(events: readonly SeenEvent[]): string {
  return events.map(({ type }) => type).join(' ');
}

/** Tries again while the service cannot answer. */
export async function patiently<T>(ask: () => Promise<T>, forMs = 60_000): Promise<T> {
  for (const until = performance.now() + forMs; ;) {
    try {
      return await ask();
    } catch (error) {
      const passes = error instanceof SegueError && error.code === 'UNAVAILABLE';
      if (!passes || performance.now() > until) throw error;
      await sleep(250);
    }
  }
}

/** Keys that may stay for ever: they are as many as there are queues, stages or tenants. */
const LASTING = [
  new RegExp(`^${PREFIX}:segue\\.\\w+:(?:meta|id|events|marker|pc|stalled-check|metrics.*)$`),
  ...[KEYS.turns, KEYS.pace, KEYS.work, KEYS.arrivals, KEYS.newTensors].map((key) => new RegExp(`^${key}$`)),
  new RegExp(`^${PREFIX}:workers:`),
];

/** What all jobs have left in Redis once they have ended: keys without a lifetime that are no part of the furniture. */
export async function leftovers(redisUrl: string, withinMs = 20_000): Promise<string[]> {
  const redis = new Redis(redisUrl);
  try {
    for (const until = performance.now() + withinMs; ; await sleep(500)) {
      const left = await lasting(redis);
      if (left.length === 0 || performance.now() > until) return left;
    }
  } finally {
    redis.disconnect();
  }
}

async function lasting(redis: Redis): Promise<string[]> {
  const keys = await redis.keys('*');
  const lifetimes = await Promise.all(keys.map((key) => redis.pttl(key)));
  return keys.filter((key, index) => lifetimes[index] === -1 && !LASTING.some((pattern) => pattern.test(key)));
}
