import { readFile, rename, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { APPS, podsOf } from './cluster.js';
import { ROOT } from './commands.js';

// The cluster's Prometheus: cluster.sh starts it with the rules of components/monitoring.

/** Beside the credentials, as node/prometheus.yaml names it. */
const PODS_FILE = join(dirname(process.env['KUBECONFIG'] ?? ''), 'pods.json');

/** Tells Prometheus every second which pods there are, until it is stopped. */
export function tellPods(): { stop(): Promise<void> } {
  let stopped = false;
  const telling = (async () => {
    while (!stopped) {
      // The next look is a second away.
      await writePods().catch(() => undefined);
      await sleep(1_000);
    }
  })();
  return {
    stop() {
      stopped = true;
      return telling;
    },
  };
}

/** The port that components/monitoring scrapes. */
async function writePods(): Promise<void> {
  const groups = await Promise.all(
    APPS.map(async (app) => {
      const port = app === 'gateway' ? 'admin' : 'http';
      return (await podsOf(app)).flatMap(({ metadata, spec, status }) => {
        const { containerPort = 0 } = spec.containers[0].ports.find(({ name }) => name === port) ?? {};
        const { podIP } = status;
        return podIP ? [{ targets: [`${podIP}:${containerPort}`], labels: { pod: metadata.name } }] : [];
      });
    }),
  );
  await writeFile(`${PODS_FILE}.new`, JSON.stringify(groups.flat()));
  await rename(`${PODS_FILE}.new`, PODS_FILE);
}

/** Every query of the dashboard that had no answer in the last half hour, or none with the labels of its legend; and how many there are. */
export async function askForDashboard(): Promise<{ readonly asked: number; readonly empty: readonly string[] }> {
  const file = join(ROOT, 'k8s/components/monitoring/dashboard.json');
  const { panels } = JSON.parse(await readFile(file, 'utf8')) as {
    panels: { targets?: { expr: string; legendFormat: string }[] }[];
  };
  const queries = panels.flatMap(({ targets = [] }) => targets);
  const empty: string[] = [];
  for (const { expr: query, legendFormat } of queries) {
    const end = Date.now() / 1000;
    const asked = new URLSearchParams({ query, start: String(end - 1_800), end: String(end), step: '15' });
    const response = await fetch(`http://127.0.0.1:9090/api/v1/query_range?${asked}`);
    const { data } = (await response.json()) as { data: { result: { metric: object }[] } };
    const labels = [...legendFormat.matchAll(/\{\{(\w+)\}\}/g)].map(([, label = '']) => label);
    const named = data.result.filter(({ metric }) => labels.every((label) => label in metric));
    if (named.length === 0) empty.push(query);
  }
  return { asked: queries.length, empty };
}
