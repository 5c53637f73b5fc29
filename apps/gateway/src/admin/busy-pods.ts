import { readFile } from 'node:fs/promises';
import { SegueError, startPeriodic, STAGES, type Periodic } from '@segue/core';
import type { WorkerInfo } from '@segue/jobs';
import type { Logger } from '@segue/service';

/** Where Kubernetes puts what a pod needs to speak to its API. */
const ACCOUNT = '/var/run/secrets/kubernetes.io/serviceaccount';
const LOOK_EVERY_MS = 5_000;
const ANNOTATION = 'controller.kubernetes.io/pod-deletion-cost';

export interface BusyPodsOptions {
  /** Of Kubernetes' API. */
  readonly url: string;
  readonly workers: (stage: WorkerInfo['stage']) => Promise<readonly WorkerInfo[]>;
  readonly logger: Logger;
  /** Folder of the pod's account. */
  readonly account?: string;
  readonly everyMs?: number;
}

/** Marks the pods of workers that hold tasks, so that an autoscaler takes idle ones away first. Every gateway does it, all alike. */
export function markBusyPods({
  url,
  workers,
  logger,
  account = ACCOUNT,
  everyMs = LOOK_EVERY_MS,
}: BusyPodsOptions): Periodic {
  /** Costs as they were written last, by pod; 0 is what a pod has from its start. */
  const costs = new Map<string, string>();
  return startPeriodic({
    everyMs,
    async run() {
      const live = (await Promise.all(STAGES.map((stage) => workers(stage)))).flat();
      const gone = new Set(costs.keys());
      for (const { id, active } of live) {
        const pod = id.slice(0, id.lastIndexOf('/'));
        gone.delete(pod);
        const cost = active > 0 ? '1' : '0';
        if ((costs.get(pod) ?? '0') === cost) continue;
        await annotate(url, account, pod, cost);
        costs.set(pod, cost);
      }
      for (const pod of gone) costs.delete(pod);
    },
    onError: (error) => logger.warn({ err: error }, 'could not mark the pods of busy workers'),
  });
}

/** @throws Error unless it is done, or the pod is gone. */
async function annotate(url: string, account: string, pod: string, cost: string): Promise<void> {
  // Read each time: tokens are renewed.
  const [token, namespace] = await Promise.all(
    ['token', 'namespace'].map(async (file) => (await readFile(`${account}/${file}`, 'utf8')).trim()),
  );
  const response = await fetch(`${url}/api/v1/namespaces/${namespace}/pods/${encodeURIComponent(pod)}`, {
    method: 'PATCH',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/merge-patch+json' },
    body: JSON.stringify({ metadata: { annotations: { [ANNOTATION]: cost } } }),
    signal: AbortSignal.timeout(LOOK_EVERY_MS),
  });
  if (response.ok || response.status === 404) return;
  throw new SegueError('UNAVAILABLE', `Kubernetes answered ${response.status}: ${await response.text()}`);
}
