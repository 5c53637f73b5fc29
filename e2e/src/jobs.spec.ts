import { randomUUID } from 'node:crypto';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { MANY_SEGMENTS, WIDE } from './pictures.js';
import { System } from './system.js';

const ASK = { image: WIDE, instruction: MANY_SEGMENTS };

let system: System;
beforeAll(async () => {
  system = await System.start();
});
afterAll(() => system.stop());

describe('a job', () => {
  it('with the same idempotency key is the same job, once', async () => {
    const idempotencyKey = randomUUID();
    const [first, again] = await Promise.all([
      system.client.jobs.submit({ ...ASK, idempotencyKey }),
      system.client.jobs.submit({ ...ASK, idempotencyKey }),
    ]);
    expect(again.jobId).toBe(first.jobId);
    const other = system.client.jobs.submit({ ...ASK, instruction: 'Where is the cat?', idempotencyKey });
    await expect(other).rejects.toMatchObject({ code: 'ALREADY_EXISTS' });
    await expect
      .poll(async () => (await system.client.jobs.get(first.jobId)).state, { timeout: 15_000 })
      .toBe('completed');
  });

  it('in mask_only has one mask, made without decoding a token', async () => {
    const before = await system.app('llm-worker').metric('segue_batch_rows_count');
    const answer = await system.client.segment({ ...ASK, mode: 'mask_only' });
    expect(answer).toMatchObject({ finishReason: 'mask_only', text: '<SEG>', segments: [{ index: 0 }] });
    expect(await system.app('llm-worker').metric('segue_batch_rows_count')).toBe(before);
  });

  describe('whose language model hangs', () => {
    beforeAll(() => system.app('llm-worker').pause());
    afterAll(() => system.app('llm-worker').resume());

    it('can be cancelled, and stays cancelled', async () => {
      const { jobId } = await system.client.jobs.submit(ASK);
      expect((await system.client.jobs.cancel(jobId)).state).toBe('cancelled');
      const types: string[] = [];
      for await (const { type } of system.client.jobs.watch(jobId)) types.push(type);
      expect(types.at(-1)).toBe('cancelled');
      expect((await system.client.jobs.cancel(jobId)).state).toBe('cancelled');
    });

    it('fails at its deadline', async () => {
      const asked = system.client.segment({ ...ASK, timeoutMs: 700 });
      await expect(asked).rejects.toMatchObject({ code: 'DEADLINE_EXCEEDED' });
      const { jobId } = await system.client.jobs.submit({ ...ASK, timeoutMs: 700 });
      await expect.poll(async () => (await system.client.jobs.get(jobId)).state, { timeout: 5_000 }).toBe('failed');
      expect((await system.client.jobs.get(jobId)).error?.code).toBe('DEADLINE_EXCEEDED');
    });

    it('is cancelled when its client goes away', async () => {
      const gone = new AbortController();
      let jobId = '';
      const watching = (async () => {
        for await (const event of system.client.stream(ASK, { signal: gone.signal })) {
          jobId = event.jobId;
          gone.abort();
        }
      })();
      await expect(watching).rejects.toMatchObject({ code: 'CANCELLED' });
      await expect.poll(async () => (await system.client.jobs.get(jobId)).state, { timeout: 5_000 }).toBe('cancelled');
    });

    it('is refused once nobody has heard of its worker for some seconds', async () => {
      const workers = () => system.app('gateway').metric('segue_stage_workers', { stage: 'generate' });
      await expect.poll(workers, { timeout: 15_000 }).toBe(0);
      await expect(system.client.segment(ASK)).rejects.toMatchObject({
        code: 'UNAVAILABLE',
        message: expect.stringContaining('generate') as string,
      });
    });
  });

  describe('after the hang', () => {
    afterEach(() => system.app('llm-worker').resume());

    it('is answered again as soon as its worker is heard of, and nothing of the given-up jobs runs on', async () => {
      const workers = () => system.app('gateway').metric('segue_stage_workers', { stage: 'generate' });
      await expect.poll(workers, { timeout: 15_000 }).toBe(1);
      const answer = await system.client.segment(ASK);
      expect(answer.segments.length).toBeGreaterThan(0);
      for (const queue of ['encode', 'generate', 'decode'])
        expect(await system.app('gateway').metric('segue_queue_tasks', { queue })).toBe(0);
    });
  });
});
