import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SegueClient } from '@segue/client';
import { expect, it } from 'vitest';
import { digestOfKey, newApiKey } from '../access/api-key.js';
import { fillMemory, photo, until, useGateway, type RunningGateway } from '../gateway.fixture.js';

const fixture = useGateway();

interface Refusal {
  readonly settings?: Record<string, string>;
  /** Makes the gateway refuse whoever is new. @returns what ends it. */
  begin(): Promise<(() => Promise<unknown>) | undefined>;
}

const key = newApiKey();
const REFUSALS: [why: string, code: string, Refusal][] = [
  [
    'are behind',
    'RESOURCE_EXHAUSTED',
    {
      async begin() {
        await fixture.store.hset('{segue}:pace', { encode: 0, generate: 9_000_000, decode: 0 });
        return undefined;
      },
    },
  ],
  [
    'have no worker',
    'UNAVAILABLE',
    {
      async begin() {
        await fixture.stopWorkers();
        return () => fixture.startWorkers();
      },
    },
  ],
  ['have as many jobs as they may', 'RESOURCE_EXHAUSTED', { settings: { SEGUE_MAX_JOBS: '1' }, begin: nothing }],
  ['take one request a minute', 'RESOURCE_EXHAUSTED', { settings: { SEGUE_API_KEYS_FILE: 'keys' }, begin: nothing }],
  ['have a Redis that is nearly full', 'RESOURCE_EXHAUSTED', { begin: () => fillMemory(fixture.store, 0.9) }],
];

async function nothing(): Promise<undefined> {}

it.each(REFUSALS)('who comes again is told of the job, by services that %s', async (_why, code, refusal) => {
  const folder = await mkdtemp(join(tmpdir(), 'segue-keys-'));
  const file = join(folder, 'keys.json');
  const tenant = { limits: { requestsPerMinute: 1, burst: 1 }, keys: [{ name: 'k', sha256: digestOfKey(key) }] };
  await writeFile(file, JSON.stringify({ tenants: { acme: tenant } }));
  const settings = { ...refusal.settings, ...(refusal.settings?.SEGUE_API_KEYS_FILE && { SEGUE_API_KEYS_FILE: file }) };
  const gateway = await fixture.startAnother(settings);
  fixture.stages.generate = (context) => until(context.signal);

  const image = await photo();
  const { jobId } = await submit(gateway, image, 'mine');
  await expect.poll(async () => (await clientOf(gateway).jobs.get(jobId)).state, { timeout: 10_000 }).toBe('running');
  const open = [jobId];
  const end = await refusal.begin();
  try {
    const asNew = () => refused(submit(gateway, image, `new-${open.length}`).then((job) => open.push(job.jobId)));
    await expect.poll(asNew, { timeout: 10_000 }).toBe(code);
    expect(await submit(gateway, image, 'mine')).toMatchObject({ jobId });
    expect(await overGrpc(gateway, image, 'mine')).toBe(jobId);
    expect(await refused(overGrpc(gateway, image, 'newer'))).toBe(code);
  } finally {
    await end?.();
    for (const one of open) await clientOf(gateway).jobs.cancel(one);
    await rm(folder, { recursive: true });
  }
});

const headers = { authorization: `Bearer ${key}` };
const clientOf = ({ url }: RunningGateway) => new SegueClient({ baseUrl: url, retries: 0, headers });
const instruction = 'Where is the cup?';

function submit(gateway: RunningGateway, image: Buffer, idempotencyKey: string) {
  return clientOf(gateway).jobs.submit({ image, instruction, idempotencyKey });
}

async function overGrpc({ grpc }: RunningGateway, value: Buffer, idempotencyKey: string): Promise<string> {
  const picture = { case: 'image' as const, value };
  return (await grpc.submitJob({ picture, instruction, idempotencyKey }, { headers })).jobId;
}

/** A refusal's code, in the words of our own. */
async function refused(call: Promise<unknown>): Promise<string | undefined> {
  return call.then(
    () => 'taken',
    (error: { readonly code: string | number }) =>
      ({ 8: 'RESOURCE_EXHAUSTED', 14: 'UNAVAILABLE' })[error.code] ?? String(error.code),
  );
}
