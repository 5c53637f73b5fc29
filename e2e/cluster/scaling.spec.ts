import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Jobs } from '@segue/jobs';
import { KEYS, openRedis, type RedisConnection } from '@segue/redis';
import type { StageProcessor } from '@segue/stages';
import { afterAll, beforeAll, expect, it } from 'vitest';
import {
  apply,
  ask,
  available,
  gatewayAddress,
  kubectl,
  tellReplicas,
  wantedReplicas,
  WORKERS,
  type StageName,
} from './cluster.js';
import { ROOT, runStep, tell } from './commands.js';

// Real gateway, Redis, KEDA and horizontal autoscaler; the workers' pods have no node, only their number counts. What
// they would do, this process does, when it is time.

/** As k8s/components/autoscale-keda has them: seconds of work for one replica, and the least of replicas. */
const TARGETS: Record<StageName, { readonly seconds: number; readonly least: number }> = {
  encode: { seconds: 5, least: 0 },
  generate: { seconds: 10, least: 1 },
  decode: { seconds: 5, least: 0 },
};
const MOST = 8;
/** At the rates that nothing has measured yet, 14, 47 and 17.5 s of work: three different numbers of replicas. */
const QUESTIONS = 140;
const NOTHING_TO_DO = { encode: 0, generate: 1, decode: 0 };
/** Longer than the windows of overlays/running. */
const WINDOWS_MS = 50_000;

let redis: RedisConnection;
let jobs: Jobs;
let telling: ReturnType<typeof tellReplicas>;
const log = { info: () => undefined, warn: () => undefined, error: () => undefined };

beforeAll(async () => {
  const workers = Object.values(WORKERS).map((name) => `deployment/${name}`);
  // What the spec before may have left: pods that would stay until others are ready, and pauses.
  await kubectl('delete', 'scaledobject,hpa', '--all');
  await kubectl('delete', '--ignore-not-found', ...workers);
  if ((await kubectl('get', 'secret', 'redis', '--ignore-not-found')) === '') await runStep(2);
  await apply('e2e/cluster/overlays/counting');
  await kubectl('rollout', 'status', 'statefulset/redis', '--timeout=300s');
  await available('gateway');
  const password = await kubectl('get', 'secret', 'redis', '--output', 'go-template={{.data.password | base64decode}}');
  // The address of overlays/node.
  redis = openRedis({ url: `redis://segue:${password}@10.96.0.100:6379`, role: 'worker', log });
  jobs = new Jobs(redis, { jobKeepMs: 60_000 });
  // What real workers have done would be other rates than those that are given.
  await redis.client.del(KEYS.work, KEYS.arrivals);
  telling = tellReplicas();
});
afterAll(async () => {
  await telling.stop();
  await jobs.close();
  redis.close();
});

it('keeps the least while there is nothing to do', async () => {
  tell('nothing to do');
  await becomes(NOTHING_TO_DO);
});

it('gives each stage the replicas that its work needs', async () => {
  const image = await readFile(join(ROOT, 'examples/coffee.jpg'));
  tell(`${QUESTIONS} questions`);
  for (let index = 0; index < QUESTIONS; index++) {
    const instruction = `Where is the drink? (${index})`;
    await ask((client) => client.jobs.submit({ image, instruction, timeoutMs: 600_000 }));
  }
  const predicted = await prediction();
  tell(`predicted from /load: ${JSON.stringify(predicted)}`);
  expect(new Set(Object.values(predicted)).size).toBe(3);
  await becomes(predicted);
});

it('takes them away from a stage that is done, and from no other', async () => {
  const before = await wantedReplicas();
  tell('the pictures are encoded');
  const encoder = startStage('encode', 16, async ({ request }) => {
    return { key: `digest/${request.imageId}`, owner: '127.0.0.1:1', cached: false };
  });
  await becomes({ ...before, encode: 0 });
  await encoder.close({ graceMs: 0 });
});

it('takes none away while jobs run, not even without a signal', async () => {
  const before = await wantedReplicas();
  let finish = (): void => undefined;
  const finished = new Promise<void>((resolve) => (finish = resolve));
  // With so many hands that half of them stay empty: a worker that is full and gets nothing done would be measured as slow.
  const model = startStage('generate', 4 * QUESTIONS, async () => {
    await finished;
    return {
      text: 'Nothing here.',
      segments: 0,
      finishReason: 'stop',
      model: 'none@0.0.0',
      promptTokens: 1,
      tokens: 1,
      prefixCached: false,
    };
  });
  try {
    await expect.poll(async () => (await jobs.depth()).generate.active, { timeout: 60_000 }).toBe(QUESTIONS);
    tell('every question is in the hands of a worker, none waits');
    await stays(before);
    await kubectl('scale', 'deployment/gateway', '--replicas=0');
    await expect.poll(() => loads().catch(() => 'away'), { timeout: 60_000, interval: 1_000 }).toBe('away');
    tell('the gateways are away, and the signal with them');
    await stays(before);
    await kubectl('scale', 'deployment/gateway', '--replicas=2');
    await available('gateway');
    tell('they are back');
    await stays(before);
  } finally {
    finish();
    await expect.poll(async () => (await jobs.depth()).generate, { timeout: 60_000 }).toMatchObject({ active: 0 });
    await model.close({ graceMs: 0 });
  }
});

it('takes all away when everything is answered', async () => {
  tell('all is answered');
  await becomes(NOTHING_TO_DO);
});

function startStage<S extends StageName>(stage: S, concurrency: number, process: StageProcessor<S>) {
  const host = jobs.stageHost({ stage, concurrency, process });
  void host.start();
  return host;
}

type Loads = Record<StageName, { readonly backlog_seconds: number; readonly demand_workers: number }>;

async function loads(): Promise<Loads> {
  const response = await fetch(`http://${await gatewayAddress()}:8090/load`, { signal: AbortSignal.timeout(5_000) });
  return ((await response.json()) as { stages: Loads }).stages;
}

async function prediction(): Promise<Record<StageName, number>> {
  const entries = Object.entries(await loads()) as [StageName, Loads[StageName]][];
  const counts = entries.map(([stage, { backlog_seconds, demand_workers }]) => {
    const { seconds, least } = TARGETS[stage];
    const wanted = Math.ceil(Math.max(backlog_seconds / seconds, demand_workers));
    return [stage, Math.max(least, Math.min(MOST, wanted))];
  });
  return Object.fromEntries(counts) as Record<StageName, number>;
}

async function becomes(wanted: Record<StageName, number>): Promise<void> {
  await expect.poll(wantedReplicas, { timeout: 240_000, interval: 1_000 }).toEqual(wanted);
  tell(`as it should be: ${JSON.stringify(wanted)}`);
}

/** Holds longer than it takes to fall. Encoders may come back: without a signal KEDA has one, to be safe. */
async function stays({ generate, decode }: Record<StageName, number>): Promise<void> {
  const until = Date.now() + WINDOWS_MS;
  while (Date.now() < until) {
    expect(await wantedReplicas()).toMatchObject({ generate, decode });
    await sleep(2_000);
  }
}
