import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { variableName } from '@segue/service';
import { beforeAll, describe, expect, it } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { findProgram } from './system-packages.js';
import { ROOT } from './workspace.js';

const APPS = ['gateway', 'encoder-worker', 'llm-worker', 'decoder-worker'];
/** Which setting a container port's name stands for. */
const PORT_SETTINGS: Readonly<Record<string, string>> = { http: 'httpPort', grpc: 'grpcPort', tensors: 'tensorPort' };

interface Container {
  readonly args?: string[];
  readonly env?: { name: string }[];
  readonly ports: { name: string; containerPort: number }[];
  readonly resources: { requests: Record<string, string>; limits: Record<string, string> };
  readonly [probe: `${string}Probe`]: { httpGet?: { path: string; port: string } } | undefined;
}
interface Workload {
  readonly spec: { template: { spec: { terminationGracePeriodSeconds: number; containers: [Container] } } };
}
interface Service {
  readonly spec: { selector: Record<string, string>; ports: { targetPort: string }[] };
}
interface Resource {
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string };
}
type Config = Readonly<Record<string, unknown>>;

const kubectl = findProgram(['kubectl']);
if (!kubectl) console.log('The Kubernetes manifests are not checked: kubectl is not on the PATH.');

describe.skipIf(!kubectl)('k8s/base', () => {
  let resources: Resource[];
  const find = (kind: string, name: string): unknown =>
    resources.find((resource) => resource.kind === kind && resource.metadata.name === name);
  const pod = (kind: string, name: string) => (find(kind, name) as Workload).spec.template.spec;

  beforeAll(() => {
    const rendered = execFileSync(kubectl ?? '', ['kustomize', join(ROOT, 'k8s/base')], { encoding: 'utf8' });
    resources = parseAllDocuments(rendered).map((document) => document.toJS() as Resource);
  });

  it('puts everything into one namespace', () => {
    const outside = resources.filter(({ kind, metadata }) => kind !== 'Namespace' && metadata.namespace !== 'segue');
    expect(outside).toEqual([]);
  });

  it.each(APPS)('probes the %s where it answers and gives it time to drain', async (name) => {
    const { containers, terminationGracePeriodSeconds } = pod('Deployment', name);
    const [container] = containers;
    const { drainTimeoutMs } = await defaults(name);
    expect(container.livenessProbe?.httpGet).toEqual({ path: '/healthz/live', port: 'http' });
    expect(container.startupProbe?.httpGet).toEqual({ path: '/healthz/live', port: 'http' });
    expect(container.readinessProbe?.httpGet).toEqual({ path: '/healthz/ready', port: 'http' });
    expect(terminationGracePeriodSeconds * 1000).toBeGreaterThan(Number(drainTimeoutMs));
    expect(container.resources).toHaveProperty('requests.cpu');
    expect(container.resources).toHaveProperty('limits.memory');
  });

  it.each(APPS)('names the ports that the %s listens on by default', async (name) => {
    const config = await defaults(name);
    for (const { name: port, containerPort } of pod('Deployment', name).containers[0].ports) {
      expect({ [port]: containerPort }).toEqual({ [port]: config[PORT_SETTINGS[port] ?? ''] });
    }
  });

  it('sets only variables that the apps know', async () => {
    const known = await Promise.all(APPS.map(async (name) => Object.keys(await defaults(name)).map(variableName)));
    const shared = resources.filter(({ kind }) => kind === 'ConfigMap') as unknown as {
      data: Record<string, string>;
    }[];
    for (const variable of shared.flatMap(({ data }) => Object.keys(data))) expect(known.flat()).toContain(variable);
    APPS.forEach((name, index) => {
      for (const variable of pod('Deployment', name).containers[0].env ?? [])
        expect(known[index]).toContain(variable.name);
    });
  });

  it('routes every service to a port of its pods', () => {
    for (const { metadata } of resources.filter(({ kind }) => kind === 'Service')) {
      const { selector, ports } = (find('Service', metadata.name) as Service).spec;
      const app = selector['app.kubernetes.io/name'] ?? '';
      const [container] = pod(app === 'redis' ? 'StatefulSet' : 'Deployment', app).containers;
      const offered = container.ports.map(({ name }) => name);
      expect(offered).toEqual(expect.arrayContaining(ports.map(({ targetPort }) => targetPort)));
    }
  });

  it('never lets Redis evict a job', () => {
    expect(pod('StatefulSet', 'redis').containers[0].args?.join(' ')).toContain('--maxmemory-policy noeviction');
  });
});

/** An app's settings when no variable is set. Read by path: apps are no libraries, nothing may import them. */
async function defaults(app: string): Promise<Config> {
  const { readConfig } = (await import(join(ROOT, 'apps', app, 'src/config.ts'))) as {
    readConfig: (env: Record<string, string>) => Config;
  };
  return readConfig({});
}
