import { expect, it } from 'vitest';
import { KEYS } from '@segue/redis';
import { photo, useGateway, type RunningGateway } from '../gateway.fixture.js';

const fixture = useGateway();
const KEY = 'a-key-for-operators';
const BEARER = { authorization: `Bearer ${KEY}` };
const BASIC = { authorization: `Basic ${Buffer.from(`anybody:${KEY}`).toString('base64')}` };

const withKey = () => fixture.startAnother({ SEGUE_ADMIN_KEY: KEY });
const ask = ({ adminUrl }: RunningGateway, path: string, init?: RequestInit) => fetch(adminUrl + path, init);

it('has no board and holds no stage where operators have no key', async () => {
  expect((await ask(fixture.gateway, '/queues')).status).toBe(404);
  expect((await ask(fixture.gateway, '/stages/encode/pause', { method: 'POST' })).status).toBe(404);
});

it('opens to the key alone, and to what a browser sends by itself for reading alone', async () => {
  const gateway = await withKey();
  const status = async (path: string, init?: RequestInit) => (await ask(gateway, path, init)).status;
  for (const headers of [
    undefined,
    { authorization: 'Bearer another-key-altogether' },
    { authorization: 'Basic eA==' },
  ])
    for (const path of ['/queues', '/queues/api/queues', '/queues/static/favicon-32x32.png'])
      expect(await status(path, headers && { headers })).toBe(401);
  const refused = await ask(gateway, '/queues');
  expect(refused.headers.get('www-authenticate')).toMatch(/^Basic /);
  expect(await refused.json()).toMatchObject({ code: 'UNAUTHENTICATED', status: 401 });
  for (const headers of [BEARER, BASIC]) expect(await status('/queues', { headers })).toBe(200);
  expect(await status('/stages/encode/pause', { method: 'POST', headers: BASIC })).toBe(401);
  expect(await status('/load')).toBe(200);
});

it('shows the queues, without what was asked, to be read alone', async () => {
  const gateway = await withKey();
  await fixture.stopWorkers();
  try {
    const waiting = await fixture.startAnother({ SEGUE_SCALABLE_STAGES: 'encode,generate,decode' });
    const { jobId } = await waiting.client.jobs.submit({ image: await photo(), instruction: 'Where is the cup?' });
    const page = await (await ask(gateway, '/queues', { headers: BASIC })).text();
    expect(page).toContain('Segue');
    const listed = async () => {
      const path = '/queues/api/queues?activeQueue=segue.encode&status=prioritized&page=1&jobsPerPage=10';
      return (await ask(gateway, path, { headers: BEARER })).json() as Promise<{
        queues: { name: string; readOnlyMode: boolean; jobs: { id: string; data: unknown }[] }[];
      }>;
    };
    const { queues } = await listed();
    expect(queues.map(({ name, readOnlyMode }) => [name, readOnlyMode])).toEqual(
      ['segment', 'encode', 'generate', 'decode'].map((name) => [`segue.${name}`, true]),
    );
    const [task] = queues.find(({ name }) => name === 'segue.encode')?.jobs ?? [];
    expect(task).toMatchObject({ id: jobId, data: { jobId } });
    const emptied = await ask(gateway, '/queues/api/queues/segue.encode/empty', { method: 'PUT', headers: BEARER });
    expect(emptied.status).toBe(405);
    expect((await listed()).queues.flatMap(({ jobs }) => jobs)).not.toEqual([]);
  } finally {
    await fixture.startWorkers();
  }
});

it('holds a stage until it is resumed', async () => {
  const gateway = await withKey();
  const hold = async (stage: string, action: string) =>
    (await ask(gateway, `/stages/${stage}/${action}`, { method: 'POST', headers: BEARER })).status;
  expect(await hold('nothing', 'pause')).toBe(404);
  expect(await hold('generate', 'pause')).toBe(204);
  const { jobId } = await gateway.client.jobs.submit({ image: await photo(), instruction: 'Where is the cup?' });
  const loads = async () =>
    ((await (await ask(gateway, '/load')).json()) as { stages: Record<string, { tasks: number }> }).stages;
  // How many masks will come of it is an estimate.
  const tasks = async () => [(await loads())['encode']?.tasks, (await loads())['generate']?.tasks];
  await expect.poll(tasks, { timeout: 10_000 }).toEqual([0, 1]);
  expect((await gateway.client.jobs.get(jobId)).state).toBe('running');
  expect(await hold('generate', 'resume')).toBe(204);
  await expect.poll(async () => (await gateway.client.jobs.get(jobId)).state, { timeout: 10_000 }).toBe('completed');
});

it('tells of dead letters without what was asked, replays and drops them', async () => {
  const gateway = await withKey();
  const question = { image: await photo(), instruction: 'Where is the cup?' };
  const putAway = async (): Promise<string> => {
    const { jobId } = await gateway.client.jobs.submit(question);
    await expect.poll(async () => (await gateway.client.jobs.get(jobId)).state, { timeout: 10_000 }).toBe('completed');
    const letter = { jobId, queue: 'encode', taskId: jobId, reason: 'died', deaths: 3, diedIn: ['a/7'], worker: 'b/7' };
    await fixture.store.lpush(KEYS.deadLetters, JSON.stringify({ ...letter, atMs: 5 }));
    return jobId;
  };
  const [first, second] = [await putAway(), await putAway()];
  const of = (method: string, path = '', headers: Record<string, string> = BEARER) =>
    ask(gateway, `/dead-letters${path}`, { method, headers });
  const listed = async () =>
    ((await (await of('GET')).json()) as { dead_letters: Record<string, unknown>[] }).dead_letters;
  for (const [method, path] of [
    ['GET', ''],
    ['DELETE', `/${first}`],
    ['POST', `/${first}/replay`],
  ] as const)
    expect((await of(method, path, {})).status).toBe(401);
  expect((await ask(fixture.gateway, '/dead-letters')).status).toBe(404);
  const told = { queue: 'encode', reason: 'died', deaths: 3, died_in: ['a/7'], noticed_by: 'b/7', at_ms: 5 };
  expect(await listed()).toEqual([second, first].map((jobId) => ({ job_id: jobId, task_id: jobId, ...told })));
  const { job_id: jobId } = (await (await of('POST', `/${first}/replay`)).json()) as { job_id: string };
  expect(jobId).not.toBe(first);
  await expect.poll(async () => (await gateway.client.jobs.get(jobId)).state, { timeout: 10_000 }).toBe('completed');
  expect((await of('DELETE', `/${second}`)).status).toBe(204);
  expect(await listed()).toEqual([]);
  for (const missing of [await of('DELETE', `/${second}`), await of('POST', `/${second}/replay`)])
    expect([missing.status, await missing.json()]).toMatchObject([404, { code: 'NOT_FOUND' }]);
});
