import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { SegueClient } from '@segue/client';
import { ROOT, run, tell } from './commands.js';

// For the specs that run inside the cluster's network: cluster-test.sh starts the cluster and them.

/** App of each stage. */
export const WORKERS = { encode: 'encoder-worker', generate: 'llm-worker', decode: 'decoder-worker' } as const;
export type StageName = keyof typeof WORKERS;
export const APPS = ['gateway', ...Object.values(WORKERS)] as const;

export const kubectl = (...args: string[]) => run('kubectl', '--namespace', 'segue', ...args);

/** Gives kubectl a rendered folder on its standard input. @throws Error for warnings too: Pod Security only warns. */
export function apply(folder: string, ...args: string[]): Promise<string> {
  const shell = `kubectl kustomize "$0" | kubectl apply --validate=strict "$@" --filename -`;
  return new Promise((resolve, reject) => {
    execFile('bash', ['-o', 'pipefail', '-c', shell, join(ROOT, folder), ...args], (error, stdout, stderr) => {
      if (error) reject(error);
      else if (/warning/i.test(stderr)) reject(new Error(stderr));
      else resolve(stdout);
    });
  });
}

export const available = (name: string) => kubectl('rollout', 'status', `deployment/${name}`, '--timeout=300s');

export async function readyOf(deployment: string): Promise<number> {
  return Number(await kubectl('get', 'deployment', deployment, '--output', 'jsonpath={.status.readyReplicas}'));
}

/** Pods of an app that nobody has told to stop. */
export async function podsOf(app: string): Promise<readonly Pod[]> {
  const selector = `app.kubernetes.io/name=${app}`;
  const { items } = JSON.parse(await kubectl('get', 'pods', '--selector', selector, '--output', 'json')) as {
    items: Pod[];
  };
  return items.filter(({ metadata }) => !metadata.deletionTimestamp);
}

export interface Pod {
  readonly metadata: {
    readonly name: string;
    readonly deletionTimestamp?: string;
    readonly annotations?: Readonly<Record<string, string>>;
  };
  readonly spec: {
    readonly containers: [{ readonly ports: { readonly name: string; readonly containerPort: number }[] }];
  };
  readonly status: { readonly podIP?: string; readonly conditions?: { type: string; status: string }[] };
}

/** How many pods each worker's Deployment should have, as the autoscaler has it. */
export async function wantedReplicas(): Promise<Record<StageName, number>> {
  const path = '{range .items[*]}{.metadata.name}={.spec.replicas} {end}';
  const pairs = (await kubectl('get', 'deployments', '--output', `jsonpath=${path}`)).split(' ');
  const count = new Map(pairs.map((pair) => pair.split('=') as [string, string]));
  const of = (stage: StageName) => Number(count.get(WORKERS[stage]) ?? NaN);
  return { encode: of('encode'), generate: of('generate'), decode: of('decode') };
}

/** Tells of every change of the wanted replicas until it is stopped. */
export function tellReplicas(): { stop(): Promise<void> } {
  let stopped = false;
  let last = '';
  const watching = (async () => {
    while (!stopped) {
      const now = await wantedReplicas().then(
        ({ encode, generate, decode }) => `encoder ${encode}, llm ${generate}, decoder ${decode}`,
        () => last, // the next look is a second away
      );
      if (now !== last) tell(`   ${now}`);
      last = now;
      await sleep(1_000);
    }
  })();
  return {
    stop() {
      stopped = true;
      return watching;
    },
  };
}

/** Kept while it answers: kubectl is a whole process for each look. */
let known: Promise<string> | undefined;

/** Asks any gateway that is ready; tries again while the service says that it is away for a moment. */
export async function ask<T>(
  question: (client: SegueClient) => Promise<T>,
  headers: Readonly<Record<string, string>> = {},
): Promise<T> {
  const deadline = Date.now() + 300_000;
  for (;;) {
    known ??= gatewayAddress();
    try {
      return await question(new SegueClient({ baseUrl: `http://${await known}:8080`, headers }));
    } catch (error) {
      known = undefined;
      const { code } = error as { code?: string };
      if (Date.now() > deadline || (code !== 'UNAVAILABLE' && code !== 'RESOURCE_EXHAUSTED')) throw error;
      await sleep(500);
    }
  }
}

/** Of a gateway that is ready and stays: from the node every pod can be reached. */
export async function gatewayAddress(): Promise<string> {
  const ready = (await podsOf('gateway')).find(({ status }) =>
    status.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True'),
  );
  return ready?.status.podIP ?? '127.0.0.1';
}
