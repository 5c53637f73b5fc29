import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { APPS, apply, ask, available, kubectl } from './cluster.js';
import { ROOT, run, tell } from './commands.js';
import { whileJobsRun } from './jobs.js';

// overlays/local with components/redis-sentinel: the master goes away and comes back as a replica, and all three start anew.

const REDIS = ['redis-0', 'redis-1', 'redis-2'] as const;

let image: Buffer;
beforeAll(async () => {
  image = await readFile(join(ROOT, 'examples/coffee.jpg'));
  // What the spec before may have left.
  await kubectl('delete', '--ignore-not-found', 'namespace/segue');
  await kubectl('delete', 'persistentvolumes', '--all');
  await kubectl('apply', '--filename', 'k8s/base/namespace.yaml');
  await apply('e2e/cluster/overlays/sentinel');
  for (const name of APPS) await available(name);
  tell('overlays/local: all available');
});
afterAll(() => run('kubectl', 'uncordon', 'node-1'));

it('answers a question', async () => {
  tell(`three Redis; ${await settled()} is the master`);
  expect(await masksOfAnswer()).toBeGreaterThan(0);
});

it('loses no job when the master goes in mid-job, answers without it, and takes it back as a replica', async () => {
  const lost = await settled();
  const [witness = ''] = REDIS.filter((name) => name !== lost);
  let next = lost;
  const { ended, failed } = await whileJobsRun(image, 6, async (open) => {
    // Where nothing is started, it cannot be back before the Sentinels have missed it.
    await run('kubectl', 'cordon', 'node-1');
    await kubectl('delete', 'pod', lost);
    tell(`${lost} is gone, with ${open.size} jobs under way`);
    expect(open.size).toBeGreaterThan(0);
    await expect.poll(async () => (next = await masterBy(witness)), { timeout: 60_000, interval: 200 }).not.toBe(lost);
    tell(`${next} is the master`);
  });
  tell(`${ended} jobs ended, ${failed.length} failed`);
  expect(failed).toEqual([]);
  expect(await masksOfAnswer()).toBeGreaterThan(0);
  await run('kubectl', 'uncordon', 'node-1');
  expect(await settled()).toBe(next);
  tell(`${lost} is back; ${next} is the master`);
  expect(await masksOfAnswer()).toBeGreaterThan(0);
});

it('loses no job when all three start anew', async () => {
  const { ended, failed } = await whileJobsRun(image, 6, async (open) => {
    tell(`deleting all three; ${await settled()} is the master`);
    await kubectl('delete', 'pod', ...REDIS);
    tell(`gone, with ${open.size} jobs under way`);
    expect(open.size).toBeGreaterThan(0);
    tell(`back; ${await settled()} is the master`);
  });
  tell(`${ended} jobs ended, ${failed.length} failed`);
  expect(failed).toEqual([]);
  expect(await masksOfAnswer()).toBeGreaterThan(0);
});

async function masksOfAnswer(): Promise<number> {
  const question = { image, instruction: 'Where is the drink?', timeoutMs: 300_000 };
  const { text, segments } = await ask((client) => client.segment(question));
  tell(`“${text}” with ${segments.length} mask(s)`);
  return segments.length;
}

/** Waits until all pods are ready and the master has two replicas; which it is, as all Sentinels say. */
async function settled(): Promise<string> {
  await kubectl('rollout', 'status', 'statefulset/redis', '--timeout=300s');
  let master = '';
  const replicas = async () => {
    const said = new Set(await Promise.all(REDIS.map(masterBy)));
    [master = ''] = said;
    const info = await kubectl('exec', master, '--', 'redis-cli', '--user', 'segue', 'info', 'replication');
    return said.size === 1 && info.match(/^slave\d:.*state=online/gm)?.length;
  };
  await expect.poll(replicas, { timeout: 120_000, interval: 1_000 }).toBe(2);
  return master;
}

/** Which pod is the master, by the Sentinel of a pod. */
async function masterBy(pod: string): Promise<string> {
  const question = ['redis-cli', '-p', '26379', 'sentinel', 'get-master-addr-by-name', 'segue'];
  const [host = ''] = (await kubectl('exec', pod, '--container', 'sentinel', '--', ...question)).split('\n');
  return host.replace(/\.redis$/, '');
}
