import { isDeepStrictEqual } from 'node:util';
import { describe, expect, it } from 'vitest';
import { hold, photo, useGateway, type RunningGateway } from '../gateway.fixture.js';

const fixture = useGateway();

interface Load {
  readonly stages: Readonly<
    Record<string, Readonly<Record<'tasks' | 'tasks_per_second' | 'backlog_seconds' | 'demand_workers', number>>>
  >;
}

const loadOf = async ({ adminUrl }: RunningGateway): Promise<Load> =>
  (await (await fetch(`${adminUrl}/load`)).json()) as Load;
const backlogs = ({ stages }: Load): number[] => Object.values(stages).map((stage) => stage.backlog_seconds);
const question = async () => ({ image: await photo(), instruction: 'Where is the cup?' });
const SEEDS = { SEGUE_ENCODE_TASKS_PER_SECOND: '10', SEGUE_GENERATE_TASKS_PER_SECOND: '0.5' };

it('gives clients the API and operators the rest', async () => {
  const { adminUrl, url } = fixture.gateway;
  const status = async (address: string): Promise<number> => (await fetch(address)).status;
  for (const path of ['/metrics', '/load', '/docs', '/openapi.json']) {
    expect(await status(url + path), path).toBe(404);
    expect(await status(adminUrl + path), path).toBe(200);
  }
  expect(await status(`${adminUrl}/healthz/ready`)).toBe(200);
  expect(await status(`${url}/healthz/ready`)).toBe(200);
  expect(await status(`${adminUrl}/v1/models`)).toBe(404);
});

describe('the load of the stages', () => {
  it('is there while nothing has been measured, the same at every gateway, and goes with the work', async () => {
    const { go } = hold(fixture.stages, 'encode');
    const [one, two] = [await fixture.startAnother(SEEDS), await fixture.startAnother(SEEDS)];
    expect((await loadOf(one)).stages['encode']).toMatchObject({ tasks: 0, backlog_seconds: 0, tasks_per_second: 10 });
    const asked = await question();
    for (let index = 0; index < 6; index++) await one.client.jobs.submit(asked);
    await expect.poll(async () => (await loadOf(two)).stages['encode']).toMatchObject({ tasks: 6 });
    const { stages } = await loadOf(two);
    // A tenth of a second each, and more the longer the worker that holds one is seen to be busy with it.
    expect(stages['encode']?.backlog_seconds).toBeGreaterThanOrEqual(0.6);
    // What waits for the pictures is work for the stages behind as well.
    expect(stages['generate']).toMatchObject({ tasks: 6, backlog_seconds: 12 });
    expect(stages['decode']?.tasks).toBe(6);
    const bothBacklogs = async () => (await Promise.all([loadOf(one), loadOf(two)])).map(backlogs);
    await expect.poll(bothBacklogs).toSatisfy(([here, there]) => isDeepStrictEqual(here, there));
    go.give();
    await expect
      .poll(async () => Object.values((await loadOf(one)).stages).map(({ tasks }) => tasks), { timeout: 10_000 })
      .toEqual([0, 0, 0]);
  });

  it('counts the requests that were refused as demand', async () => {
    await fixture.stopWorkers();
    try {
      const { gateway } = fixture;
      const asked = await question();
      await expect.poll(() => gateway.client.segment(asked).catch(({ code }) => code)).toBe('UNAVAILABLE');
      for (let index = 0; index < 5; index++) await gateway.client.segment(asked).catch(() => undefined);
      // At least 6 in 30 s, 70 % busy: 0.09 workers at the seeded 3 a second, and fewer the faster they were seen to be.
      const demand = async () => {
        const { demand_workers, tasks_per_second } = (await loadOf(gateway)).stages['generate'] ?? {};
        return (demand_workers ?? 0) * (tasks_per_second ?? 0);
      };
      await expect.poll(demand, { timeout: 5_000 }).toBeGreaterThan(0.09 * 3);
    } finally {
      await fixture.startWorkers();
    }
  });

  it('is refused, not guessed, without Redis', async () => {
    const gateway = await fixture.startAnother({});
    fixture.redis.program.pause();
    try {
      expect((await fetch(`${gateway.adminUrl}/load`)).status).toBe(503);
    } finally {
      fixture.redis.program.resume();
    }
  });
});

describe('a stage that is started when there is work', () => {
  it('admits up to a depth without a worker, and says so', async () => {
    await fixture.stopWorkers();
    const gateway = await fixture.startAnother({
      SEGUE_SCALABLE_STAGES: 'encode,generate,decode',
      SEGUE_MAX_STARTING_DEPTH: '2',
    });
    const asked = await question();
    const submit = () => gateway.client.jobs.submit(asked);
    let jobId = '';
    await expect
      .poll(async () => {
        jobId = (await submit()).jobId;
        const events = gateway.client.jobs.watch(jobId);
        await events.next();
        return (await events.next()).value;
      })
      .toMatchObject({ type: 'starting', stages: ['encode', 'generate', 'decode'] });
    await gateway.client.jobs.submit(asked).catch(() => undefined);
    await expect(submit()).rejects.toMatchObject({ code: 'RESOURCE_EXHAUSTED' });
    await fixture.startWorkers();
    await expect.poll(async () => (await gateway.client.jobs.get(jobId)).state, { timeout: 10_000 }).toBe('completed');
  });

  it('is no excuse for one that nobody starts', async () => {
    await fixture.stopWorkers();
    try {
      const gateway = await fixture.startAnother({ SEGUE_SCALABLE_STAGES: 'encode,decode' });
      const asked = await question();
      await expect.poll(() => gateway.client.segment(asked).catch(({ code }) => code)).toBe('UNAVAILABLE');
    } finally {
      await fixture.startWorkers();
    }
  });
});
