import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { SegueError, type Answer, type Job, type JobEvent } from '@segue/core';
import { content } from './content.js';
import { MANY_SEGMENTS, WIDE } from './pictures.js';
import { System } from './system.js';

const ASK = { image: WIDE, instruction: MANY_SEGMENTS };

let system: System;
beforeEach(async () => {
  system = await System.start();
});
afterEach(() => system.stop());

describe('a worker that dies', () => {
  it('between encode and decode: its tensors are computed again', async () => {
    const expected = content(await system.client.segment(ASK));
    const decoder = system.app('decoder-worker');
    // A fresh decoder holds no tensors; hanging, it leaves time to take the encoder away.
    await decoder.kill();
    (await system.restart('decoder-worker')).pause();
    const { jobId } = await system.client.jobs.submit(ASK);
    await until(jobId, (event) => event.type === 'stage' && event.stage === 'generate' && event.done);
    await system.app('encoder-worker').kill();
    await system.restart('encoder-worker');
    system.app('decoder-worker').resume();
    expect(content(await ended(jobId))).toEqual(expected);
    const recomputing = { outcome: 'recomputing' };
    expect(await system.app('decoder-worker').metric('segue_stage_tasks_total', recomputing)).toBeGreaterThan(0);
  });

  it('in the middle of an answer: another one takes over within 15 s', async () => {
    const expected = content(await system.client.segment(ASK));
    const startedAt = Date.now();
    const { jobId } = await caughtInTheMiddle();
    await system.restart('llm-worker');
    expect(content(await ended(jobId))).toEqual(expected);
    expect(Date.now() - startedAt).toBeLessThan(15_000);
    const pieces = (await log(jobId)).flatMap((event) => (event.type === 'text' ? [event.text] : []));
    expect(pieces.join('')).toBe(expected.text);
  });

  /** Kills the language model's worker while it writes; the answer is short, so this may need some tries. */
  async function caughtInTheMiddle(): Promise<Job> {
    for (let attempt = 0; attempt < 10; attempt++) {
      const job = await system.client.jobs.submit(ASK);
      await until(job.jobId, (event) => event.type === 'text');
      system.app('llm-worker').pause();
      const events = await log(job.jobId);
      if (!events.some((event) => event.type === 'stage' && event.stage === 'generate' && event.done)) {
        await system.app('llm-worker').kill();
        return job;
      }
      system.app('llm-worker').resume();
      await ended(job.jobId);
    }
    throw new Error('every answer was complete before the worker could be stopped');
  }

  it('by order: SIGTERM in the middle of work loses nothing', async () => {
    const jobs = await Promise.all(Array.from({ length: 8 }, () => system.client.jobs.submit(ASK)));
    expect(await system.app('llm-worker').stop()).toBe(0);
    await system.restart('llm-worker');
    const texts = await Promise.all(jobs.map(async ({ jobId }) => (await ended(jobId)).text));
    expect(new Set(texts).size).toBe(1);
  });
});

it('deadlines hold while no gateway is there', async () => {
  system.app('decoder-worker').pause();
  const submitted = Array.from({ length: 50 }, () => system.client.jobs.submit({ ...ASK, timeoutMs: 5_000 }));
  const jobs = await Promise.all(submitted);
  await system.app('gateway').kill();
  // Nobody but a worker can end them in this time.
  await sleep(5_000 + 4_000);
  await system.restart('gateway');
  const ends = await Promise.all(
    jobs.map(async ({ jobId, deadlineAtMs }) => {
      let end: JobEvent | undefined;
      for await (const event of system.client.jobs.watch(jobId)) end = event;
      expect(end).toMatchObject({ type: 'failed', error: { code: 'DEADLINE_EXCEEDED' } });
      return end!.atMs - deadlineAtMs;
    }),
  );
  expect(Math.max(...ends)).toBeLessThan(2_000); // a second is promised, of a machine that is not busy
  system.app('decoder-worker').resume();
});

/** Reads the job's events up to the first one that fits. */
async function until(jobId: string, fits: (event: JobEvent) => boolean): Promise<void> {
  for await (const event of system.client.jobs.watch(jobId)) if (fits(event)) return;
  throw new Error('the job ended without that event');
}

/** The events so far, without waiting for more. */
async function log(jobId: string): Promise<JobEvent[]> {
  const events: JobEvent[] = [];
  const enough = new AbortController();
  const reading = (async () => {
    for await (const event of system.client.jobs.watch(jobId, { signal: enough.signal })) events.push(event);
  })();
  await Promise.race([reading, sleep(300)]);
  enough.abort();
  await reading.catch((error: unknown) => {
    if (!(error instanceof SegueError && error.code === 'CANCELLED')) throw error;
  });
  return events;
}

async function ended(jobId: string): Promise<Answer> {
  for await (const event of system.client.jobs.watch(jobId)) {
    if (event.type === 'completed') return event.answer;
    if (event.type === 'failed') throw new Error(`${event.error.code}: ${event.error.message}`);
  }
  throw new Error('the job did not complete');
}
