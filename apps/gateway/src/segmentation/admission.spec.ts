import { describe, expect, it } from 'vitest';
import { photo, signal, until, useGateway } from '../gateway.fixture.js';
import type { Jobs, Outlook } from '@segue/jobs';
import { Admission, expectation } from './admission.js';

const slots = { encode: 4, generate: 8, decode: 2 };

describe('what a request may expect', () => {
  const paceMs = { encode: 100, generate: 800, decode: 200 };
  const none = { encode: 0, generate: 0, decode: 0 };
  it('is its own work where nothing waits', () => {
    expect(expectation({ ahead: none, active: none, paceMs }, slots, 0)).toEqual({
      waitMs: 0,
      workMs: 1_100,
    });
  });

  it('is decided by the slowest stage, which has the jobs of the stages before it to do as well', () => {
    const ahead = { encode: 20, generate: 20, decode: 0 };
    // 40 jobs for eight slots of 0.8 s take 4 s, and two slots of 0.2 s as long.
    expect(expectation({ ahead, active: none, paceMs }, slots, 0).waitMs).toBe(4_000);
    expect(expectation({ ahead, active: none, paceMs: { ...paceMs, decode: 400 } }, slots, 0).waitMs).toBe(8_000);
    expect(expectation({ ahead, active: none, paceMs }, slots, 40).waitMs).toBe(8_000);
  });

  it('counts what is in work: it will come to the stages after', () => {
    const active = { ...none, generate: 8 };
    expect(expectation({ ahead: none, active, paceMs: { ...paceMs, decode: 1_000 } }, slots, 0).waitMs).toBe(4_000);
  });
});

describe('admission', () => {
  const none = { encode: 0, generate: 0, decode: 0 };
  /** One worker of one hand for each stage, with this before whoever comes. */
  function opened(outlook: Partial<Outlook>, memoryUse = 0) {
    const asked = { outlooks: 0 };
    const jobs: Pick<Jobs, 'memoryUse' | 'workers' | 'outlook'> = {
      memoryUse: () => Promise.resolve(memoryUse),
      workers: (stage) => Promise.resolve([{ id: stage, stage, model: 'm', active: 0, concurrency: 1 }]),
      outlook: () => {
        asked.outlooks++;
        return Promise.resolve({ ahead: none, active: none, paceMs: none, ...outlook });
      },
    };
    const admission = new Admission(jobs as Jobs, { scalableStages: [], maxStartingDepth: 0 });
    const apply = (timeoutMs: number, maxWaitMs = Infinity) =>
      admission
        .admit({ tenant: 'acme', priority: 'normal', timeoutMs, maxWaitMs }, () => Promise.resolve('in'))
        .catch(() => 'out');
    return { apply, asked };
  }

  it('lets nobody in whose wait and work together take longer than he has', async () => {
    // 2.5 s of waiting and 3 s of work.
    const outlook = { paceMs: { encode: 500, generate: 2_500, decode: 0 }, active: { ...none, generate: 1 } };
    expect(await opened(outlook).apply(5_000)).toBe('out');
    expect(await opened(outlook).apply(6_500)).toBe('out'); // an estimate may be wrong
    expect(await opened(outlook).apply(7_000)).toBe('in');
    // Less than the work usually takes, and nothing before it.
    expect(await opened({ paceMs: outlook.paceMs }).apply(1_000)).toBe('in');
  });

  it('lets nobody in who would wait longer than he may, whatever his time', async () => {
    const { apply } = opened({ paceMs: { ...none, generate: 500 }, ahead: { ...none, generate: 1 } });
    expect(await apply(60_000, 499)).toBe('out');
    expect(await apply(60_000, 500)).toBe('in');
  });

  it('lets nobody in while the memory of Redis is needed by those who are', async () => {
    expect(await opened({}, 0.86).apply(60_000)).toBe('out');
    expect(await opened({}, 0.84).apply(60_000)).toBe('in');
  });

  it('asks Redis once for many who come too late, and anew for who has the time', async () => {
    const { apply, asked } = opened({ paceMs: { ...none, generate: 1_000 }, ahead: { ...none, generate: 20 } });
    for (let times = 0; times < 50; times++) expect(await apply(5_000)).toBe('out');
    expect(asked.outlooks).toBeLessThan(5);
    const before = asked.outlooks;
    expect(await apply(60_000)).toBe('in');
    expect(asked.outlooks).toBe(before + 1);
  });
});

const fixture = useGateway();
const question = async () => ({ image: await photo(), instruction: 'Where is the cup?' });

describe('a service that is behind', () => {
  /** Work of 200 ms for eight slots was measured; then the workers stop, while they still count, and jobs wait. */
  async function behind(waiting: number, env = {}) {
    const gateway = await fixture.startAnother(env);
    await fixture.store.hset('{segue}:pace', { encode: 100, generate: 4_000, decode: 0 });
    const go = signal();
    fixture.stages.encode = async (context) => {
      await Promise.race([go.given, until(context.signal)]);
      return { key: 'k', owner: 'o', cached: false };
    };
    const jobs: string[] = [];
    for (let i = 0; i < waiting; i++) jobs.push((await gateway.client.jobs.submit(await question())).jobId);
    const end = async () => {
      for (const jobId of jobs) await gateway.client.jobs.cancel(jobId);
      go.give();
    };
    return { gateway, end };
  }

  it('refuses who could not be answered in time, says when he could, and takes who has the time', async () => {
    const { gateway, end } = await behind(24);
    // Twenty tasks wait behind four in hand: 20 s for four slots of 4 s.
    const ask = async (timeoutMs: number) => gateway.client.segment({ ...(await question()), timeoutMs });
    const refused = await ask(10_000).catch((error: unknown) => error as { retryAfterMs: number });
    expect(refused).toMatchObject({ code: 'RESOURCE_EXHAUSTED', message: expect.stringMatching(/about 2\d s/) });
    expect((refused as { retryAfterMs: number }).retryAfterMs).toBeGreaterThan(10_000);
    expect((refused as { retryAfterMs: number }).retryAfterMs).toBeLessThan(22_000);
    const later = await gateway.client.jobs.submit({ ...(await question()), timeoutMs: 120_000 });
    await gateway.client.jobs.cancel(later.jobId);
    await end();
  });

  it('lets jobs wait, and nobody who waits for the answer, where waits are bounded', async () => {
    const { gateway, end } = await behind(24, { SEGUE_MAX_WAIT_MS: '1500' });
    const request = { ...(await question()), timeoutMs: 120_000 };
    await expect(gateway.client.segment(request)).rejects.toMatchObject({
      code: 'RESOURCE_EXHAUSTED',
      message: expect.stringContaining('longer than 1500 ms') as string,
    });
    const { jobId } = await gateway.client.jobs.submit(request);
    await gateway.client.jobs.cancel(jobId);
    await end();
  });

  it('lets no more in when a thousand come at once', { timeout: 60_000 }, async () => {
    const { gateway, end } = await behind(4);
    const imageId = (await gateway.client.images.upload(await photo())).imageId;
    const picture = { case: 'imageId' as const, value: imageId };
    const settled = await Promise.all(
      Array.from({ length: 1_000 }, () =>
        gateway.grpc
          .submitJob({ picture, instruction: 'Where?', timeoutMs: 60_000n })
          .then(({ jobId }) => jobId)
          .catch(() => undefined),
      ),
    );
    const accepted = settled.filter((jobId) => jobId !== undefined);
    // Four slots of 4 s do 60 jobs a minute, less the work itself.
    expect(accepted.length).toBeGreaterThan(30);
    expect(accepted.length).toBeLessThanOrEqual(62);
    for (const jobId of accepted) await gateway.client.jobs.cancel(jobId);
    await end();
  });
});
