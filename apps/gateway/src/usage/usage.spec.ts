import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SegueClient } from '@segue/client';
import { SegueError } from '@segue/core';
import { expect, it } from 'vitest';
import { digestOfKey, newApiKey } from '../access/api-key.js';
import { photo, useGateway, type RunningGateway } from '../gateway.fixture.js';

const fixture = useGateway();
const INSTRUCTION = 'Where is the cup?';
const NOTHING = { jobs: 0, answers: 0, failed: 0, cancelled: 0, refused: 0, tokens: 0, masks: 0 };

async function usageOf({ url }: RunningGateway, key?: string, query = ''): Promise<Record<string, unknown>> {
  const headers = key === undefined ? {} : { authorization: `Bearer ${key}` };
  return (await (await fetch(`${url}/v1/usage${query}`, { headers })).json()) as Record<string, unknown>;
}

it('tells each tenant its own, and operators everybody’s', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'segue-usage-'));
  const file = join(folder, 'keys.json');
  const keys = { acme: newApiKey(), bolt: newApiKey() };
  const limits = { requestsPerMinute: 4, burst: 4, pictureBytes: 1_000_000 };
  const entry = (key: string) => ({ limits, keys: [{ name: 'k', sha256: digestOfKey(key) }] });
  await writeFile(file, JSON.stringify({ tenants: { acme: entry(keys.acme), bolt: entry(keys.bolt) } }));
  const gateway = await fixture.startAnother({ SEGUE_API_KEYS_FILE: file });
  const acme = new SegueClient({
    baseUrl: gateway.url,
    retries: 0,
    headers: { authorization: `Bearer ${keys.acme}` },
  });

  const image = await photo();
  await acme.segment({ image, instruction: INSTRUCTION });
  fixture.stages.encode = () => Promise.reject(new SegueError('INVALID_ARGUMENT', 'No.'));
  await expect(acme.segment({ image, instruction: INSTRUCTION })).rejects.toThrow('No.');
  fixture.stages.encode = (context) => new Promise((_, reject) => context.signal.addEventListener('abort', reject));
  await acme.jobs.cancel((await acme.jobs.submit({ image, instruction: INSTRUCTION })).jobId);
  for (let times = 0; times < 3; times++)
    await acme.jobs.submit({ image, instruction: INSTRUCTION }).catch(() => undefined);

  const figures = { jobs: 3, answers: 1, failed: 1, cancelled: 1, refused: 2 };
  await expect.poll(() => usageOf(gateway, keys.acme), { timeout: 5_000 }).toMatchObject(figures);
  const used = await usageOf(gateway, keys.acme);
  expect(used).toMatchObject({ masks: 1, tokens: expect.any(Number), picture_bytes: image.byteLength });
  expect(used['tokens']).toBeGreaterThan(0);
  expect(await usageOf(gateway, keys.bolt)).toMatchObject({ ...NOTHING, picture_bytes: 0 });

  const { tenants } = (await (await fetch(`${gateway.adminUrl}/usage`)).json()) as { tenants: unknown[] };
  expect(tenants).toEqual([{ tenant: 'acme', ...figures, tokens: used['tokens'], masks: 1 }]);
  expect((await fetch(`${gateway.url}/v1/usage`)).status).toBe(401);
  expect((await fetch(`${gateway.url}/usage`)).status).toBe(404);
  await rm(folder, { recursive: true });
});

it('tells all who need no key what they have used together, on the days that are asked for', async () => {
  const { gateway } = fixture;
  await gateway.client.segment({ image: await photo(), instruction: INSTRUCTION });
  const today = new Date().toISOString().slice(0, 10);
  const used = await usageOf(gateway);
  expect(used).toMatchObject({ from: `${today.slice(0, 7)}-01`, to: today, jobs: 1, answers: 1, masks: 1 });
  expect(used).not.toHaveProperty('picture_bytes');
  expect(await usageOf(gateway, undefined, '?from=2026-01-01&to=2026-01-31')).toMatchObject(NOTHING);
  for (const query of ['?from=soon', '?from=2026-02-02&to=2026-02-01', '?days=3'])
    expect(await usageOf(gateway, undefined, query)).toMatchObject({ status: 400 });
});
