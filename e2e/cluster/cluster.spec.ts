import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { SegueClient } from '@segue/client';
import { beforeAll, describe, expect, it } from 'vitest';
import { ROOT, run, tell } from './commands.js';

// Runs inside the cluster's network: cluster-test.sh starts the cluster and this.

const STAGES = ['encoder-worker', 'llm-worker', 'decoder-worker'] as const;
const APPS = ['gateway', ...STAGES] as const;

const kubectl = (...args: string[]) => run('kubectl', '--namespace', 'segue', ...args);

/** Gives kubectl a rendered folder on its standard input. */
function apply(folder: string, ...args: string[]): Promise<string> {
  const shell = `kubectl kustomize "$0" | kubectl apply --validate=strict "$@" --filename -`;
  return new Promise((resolve, reject) => {
    execFile('bash', ['-o', 'pipefail', '-c', shell, join(ROOT, folder), ...args], (error, stdout, stderr) => {
      if (error) reject(error);
      // Pod Security warns on standard error.
      else if (/warning/i.test(stderr)) reject(new Error(stderr));
      else resolve(stdout);
    });
  });
}

beforeAll(async () => {
  await run('kubectl', 'apply', '--filename', 'k8s/base/namespace.yaml');
});

describe('every overlay', () => {
  it.each(['k8s/overlays/local', 'k8s/overlays/production', 'e2e/cluster/overlay'])(
    '%s is taken as it is',
    async (folder) => {
      const output = await apply(folder, '--dry-run=server');
      tell(`${folder}: the API server takes ${output.split('\n').length - 1} objects`);
      expect(output).not.toMatch(/error/i);
    },
  );
});

describe('the whole service', () => {
  let coffee: Buffer;

  const available = (name: string) => kubectl('rollout', 'status', `deployment/${name}`, '--timeout=300s');
  const podsOf = async (name: string) =>
    (await kubectl('get', 'pods', '--selector', `app.kubernetes.io/name=${name}`, '--output', 'name')).split('\n');

  beforeAll(async () => {
    coffee = await readFile(join(ROOT, 'examples/coffee.jpg'));
    await apply('e2e/cluster/overlay');
    await kubectl('rollout', 'status', 'statefulset/redis', '--timeout=300s');
    for (const name of APPS) await available(name);
    tell('all available');
  });

  it('answers a question', async () => {
    const answer = await ask((client) => client.segment({ image: coffee, instruction: 'Where is the drink?' }));
    tell(`“${answer.text}” with ${answer.segments.length} mask(s)`);
    expect(answer.segments.length).toBeGreaterThan(0);
  });

  it('keeps Redis shut to whoever has no password', async () => {
    const inside = (...args: string[]) => kubectl('exec', 'redis-0', '--', ...args);
    await expect(inside('env', '-u', 'REDISCLI_AUTH', 'redis-cli', '-e', 'ping')).rejects.toThrow(/NOAUTH/);
    await expect(inside('redis-cli', '--user', 'segue', '-e', 'config', 'get', 'dir')).rejects.toThrow(/NOPERM/);
    expect(await inside('redis-cli', '--user', 'segue', '-e', 'ping')).toBe('PONG');
  });

  it.each([...APPS, 'redis'])('loses no job when a pod of the %s is deleted in mid-job', async (name) => {
    const { ended, failed } = await whileJobsRun(12, async () => {
      const pods = await podsOf(name);
      tell(`deleting ${pods.join(', ')}`);
      await kubectl('delete', '--wait=false', '--grace-period=1', ...pods);
    });
    tell(`${ended} jobs ended after the ${name} was deleted`);
    expect(failed).toEqual([]);
    expect(ended).toBe(12);
    if (name !== 'redis') await available(name);
  });

  it('answers all the while that the model is rolled out again', async () => {
    const { ended, failed } = await whileJobsRun(12, async () => {
      await kubectl('rollout', 'restart', ...STAGES.map((name) => `deployment/${name}`));
      for (const name of STAGES) await available(name);
      tell('rolled out');
    });
    expect(failed).toEqual([]);
    expect(ended).toBe(12);
  });

  /** Submits jobs, does something in the middle, and waits until all have ended. */
  async function whileJobsRun(count: number, disturb: () => Promise<void>) {
    const ids: string[] = [];
    for (let index = 0; index < count; index++) {
      const instruction = `Where is the drink? (${index})`;
      ids.push((await ask((client) => client.jobs.submit({ image: coffee, instruction, timeoutMs: 600_000 }))).jobId);
    }
    await disturb();
    const failed: string[] = [];
    let ended = 0;
    for (const id of ids) {
      const job = await untilEnded(id);
      ended++;
      if (job.state !== 'completed') failed.push(`${id}: ${job.state} ${JSON.stringify(job)}`);
    }
    return { ended, failed };
  }

  async function untilEnded(id: string) {
    for (;;) {
      const job = await ask((client) => client.jobs.get(id));
      if (['completed', 'failed', 'cancelled'].includes(job.state)) return job;
      await sleep(500);
    }
  }
});

/** Asks any gateway that is ready; tries again while the service says that it is away for a moment. */
async function ask<T>(question: (client: SegueClient) => Promise<T>): Promise<T> {
  const deadline = Date.now() + 300_000;
  for (;;) {
    const client = new SegueClient({ baseUrl: `http://${await gatewayAddress()}:8080` });
    try {
      return await question(client);
    } catch (error) {
      if (Date.now() > deadline || (error as { code?: string }).code !== 'UNAVAILABLE') throw error;
      await sleep(500);
    }
  }
}

/** Of a pod that is ready and stays: from the node every pod can be reached. */
async function gatewayAddress(): Promise<string> {
  const { items } = JSON.parse(
    await kubectl('get', 'pods', '--selector', 'app.kubernetes.io/name=gateway', '--output', 'json'),
  ) as { items: Pod[] };
  const ready = items.find(
    ({ metadata, status }) =>
      !metadata.deletionTimestamp &&
      status.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True'),
  );
  return ready?.status.podIP ?? '127.0.0.1';
}

interface Pod {
  readonly metadata: { readonly deletionTimestamp?: string };
  readonly status: { readonly podIP?: string; readonly conditions?: { type: string; status: string }[] };
}
