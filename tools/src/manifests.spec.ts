import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { variableName } from '@segue/service';
import { describe, expect, it } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { z } from 'zod';
import { APPS, findProgram } from '@segue/local-system';
import { defaults } from './app-settings.js';
import { ROOT } from './workspace.js';

const NAME = 'app.kubernetes.io/name';
/** Which setting a container port's name stands for. */
const PORT_SETTINGS: Readonly<Record<string, string>> = {
  http: 'httpPort',
  grpc: 'grpcPort',
  tensors: 'tensorPort',
  admin: 'adminPort',
};
/** Of the API, not of a namespace. */
const CLUSTER_WIDE = ['Namespace', 'PriorityClass'];

interface Container {
  readonly name: string;
  readonly image: string;
  readonly command?: string[];
  readonly args?: string[];
  readonly env?: { name: string; value?: string; valueFrom?: { secretKeyRef?: { name: string } } }[];
  readonly envFrom?: { configMapRef: { name: string } }[];
  readonly lifecycle?: { preStop: { sleep: { seconds: number } } };
  readonly ports?: { name: string; containerPort: number }[];
  readonly resources: { requests: Record<string, string>; limits: Record<string, string> };
  readonly securityContext: unknown;
  readonly volumeMounts: { name: string; mountPath: string; readOnly?: boolean }[];
  readonly [probe: `${string}Probe`]: Record<string, unknown> | undefined;
}
interface Pod {
  readonly terminationGracePeriodSeconds: number;
  readonly automountServiceAccountToken: boolean;
  readonly securityContext: Record<string, unknown>;
  readonly initContainers?: Container[];
  readonly containers: [Container, ...Container[]];
}
interface Resource {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string };
  readonly data?: Record<string, string>;
  readonly spec: {
    readonly replicas?: number;
    readonly selector: Record<string, string>;
    readonly ports: { targetPort: string }[];
    readonly scaleTargetRef: { name: string };
    readonly template: { readonly metadata: { readonly labels: Record<string, string> }; readonly spec: Pod };
  };
}

/** What the API server of a real cluster takes; e2e/cluster/schemas.mjs writes it down. */
const SCHEMAS = JSON.parse(readFileSync(join(ROOT, 'k8s/schemas.json'), 'utf8')) as {
  kinds: Record<string, object>;
  $defs: Record<string, object>;
};

const kustomize = findProgram(['kustomize', 'kubectl']);
if (!kustomize) console.log('The Kubernetes manifests are not checked: neither kustomize nor kubectl is on the PATH.');

const folders = ['overlays', 'components'].flatMap((kind) =>
  readdirSync(join(ROOT, 'k8s', kind)).map((name) => `${kind}/${name}`),
);

describe.skipIf(!kustomize).each(folders)('k8s/%s', (folder) => {
  const resources = render(folder);
  const all = (...kinds: string[]) => resources.filter(({ kind }) => kinds.includes(kind));
  const find = (kind: string, name: string): Resource => {
    const found = all(kind).find(({ metadata }) => metadata.name === name);
    if (!found) throw new Error(`there is no ${kind} ${name}`);
    return found;
  };
  const pod = (name: string): Pod => podOf(resources, name);
  const workloads = all('Deployment', 'StatefulSet');

  it('has no field that the API server does not know', () => {
    for (const resource of resources) {
      const schema = SCHEMAS.kinds[`${resource.apiVersion} ${resource.kind}`];
      if (!schema) throw new Error(`k8s/schemas.json does not know ${resource.apiVersion} ${resource.kind}`);
      const { error } = z.fromJSONSchema({ ...schema, $defs: SCHEMAS.$defs } as never).safeParse(resource);
      expect(error && `${resource.kind} ${resource.metadata.name}: ${z.prettifyError(error)}`).toBeUndefined();
    }
  });

  it('puts everything into one namespace', () => {
    const outside = resources.filter((one) => !CLUSTER_WIDE.includes(one.kind) && one.metadata.namespace !== 'segue');
    expect(outside).toEqual([]);
  });

  it('asks for no more rights than the restricted profile allows', () => {
    expect(find('Namespace', 'segue').metadata).toHaveProperty(
      ['labels', 'pod-security.kubernetes.io/enforce'],
      'restricted',
    );
    for (const { metadata, spec } of workloads) {
      const { automountServiceAccountToken, securityContext, initContainers = [], containers } = spec.template.spec;
      // The gateway marks pods, where that is wanted, and has no other use for Kubernetes' API.
      const marks = all('ConfigMap').some(({ data }) => data?.['SEGUE_KUBERNETES_URL'] !== undefined);
      expect(automountServiceAccountToken).toBe(marks && metadata.name === 'gateway');
      expect(securityContext).toMatchObject({ runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } });
      for (const container of [...initContainers, ...containers])
        expect(container.securityContext).toEqual({
          allowPrivilegeEscalation: false,
          readOnlyRootFilesystem: true,
          capabilities: { drop: ['ALL'] },
        });
    }
  });

  it.each(APPS)('probes the %s where it answers and gives it time to drain', async (name) => {
    const { containers, terminationGracePeriodSeconds } = pod(name);
    const [container] = containers;
    const drainMs = await setting(name, 'SEGUE_DRAIN_TIMEOUT_MS', container);
    const pause = container.lifecycle?.preStop.sleep.seconds ?? 0;
    expect(container.livenessProbe?.['httpGet']).toEqual({ path: '/healthz/live', port: 'http' });
    expect(container.startupProbe?.['httpGet']).toEqual({ path: '/healthz/live', port: 'http' });
    expect(container.readinessProbe?.['httpGet']).toEqual({ path: '/healthz/ready', port: 'http' });
    expect((terminationGracePeriodSeconds - pause) * 1000).toBeGreaterThan(Number(drainMs));
    for (const resource of ['requests.cpu', 'requests.ephemeral-storage', 'limits.memory'])
      expect(container.resources).toHaveProperty(resource);
  });

  it.each(APPS)('names the ports that the %s listens on by default', async (name) => {
    const config = await defaults(name);
    for (const { name: port, containerPort } of pod(name).containers[0].ports ?? []) {
      expect({ [port]: containerPort }).toEqual({ [port]: config[PORT_SETTINGS[port] ?? ''] });
    }
  });

  it('sets only variables that the apps know', async () => {
    const known = await Promise.all(APPS.map(async (name) => Object.keys(await defaults(name)).map(variableName)));
    const ours = (names: string[]) => names.filter((name) => name.startsWith('SEGUE_'));
    for (const { data = {} } of all('ConfigMap'))
      expect(known.flat()).toEqual(expect.arrayContaining(ours(Object.keys(data))));
    APPS.forEach((name, index) => {
      const set = ours((pod(name).containers[0].env ?? []).map((variable) => variable.name));
      expect(known[index]).toEqual(expect.arrayContaining(set));
    });
  });

  it('takes settings from a ConfigMap that is there', () => {
    for (const { envFrom = [] } of APPS.map((name) => pod(name).containers[0]))
      for (const { configMapRef } of envFrom) expect(find('ConfigMap', configMapRef.name).data).toBeDefined();
  });

  it('lets nobody but the copying container write models', () => {
    for (const name of APPS) {
      const mount = pod(name).containers[0].volumeMounts.find((one) => one.name === 'models');
      expect(mount).toEqual({ name: 'models', mountPath: '/models', readOnly: true });
    }
  });

  it('routes every service to a port of its pods', () => {
    for (const { spec } of all('Service')) {
      const target = workloads.find((workload) => workload.spec.template.metadata.labels[NAME] === spec.selector[NAME]);
      const offered = (target?.spec.template.spec.containers[0].ports ?? []).map(({ name }) => name);
      expect(offered).toEqual(expect.arrayContaining(spec.ports.map(({ targetPort }) => targetPort)));
    }
  });

  it('leaves the number of replicas to the autoscaler where there is one', () => {
    for (const { spec } of all('ScaledObject', 'HorizontalPodAutoscaler'))
      expect(find('Deployment', spec.scaleTargetRef.name).spec.replicas).toBeUndefined();
  });

  it('never lets Redis evict a job, and keeps the password off its command line', () => {
    const redis = find('StatefulSet', 'redis').spec.template.spec.containers[0];
    const line = redis.args?.join(' ');
    expect(line).toContain('--maxmemory-policy noeviction');
    expect(line).toContain('--aclfile');
    expect(line).not.toMatch(/requirepass|PASSWORD/);
    expect(redis.resources.requests['memory']).toBe(redis.resources.limits['memory']);
  });

  // The base leaves the versions to the overlays.
  if (folder.startsWith('overlays/'))
    it('names a version of every image', () => {
      for (const { spec } of workloads)
        for (const { image } of [...(spec.template.spec.initContainers ?? []), ...spec.template.spec.containers])
          expect(image).toMatch(/:\d+\.\d+\.\d+$|@sha256:[0-9a-f]{64}$/);
    });
});

describe.skipIf(!kustomize)('three Redis with Sentinels, and nothing may talk to anything else', () => {
  const resources = render('components/network-policy', 'components/redis-sentinel');
  const find = (kind: string, name: string): Resource | undefined =>
    resources.find((one) => one.kind === kind && one.metadata.name === name);
  const redis = find('StatefulSet', 'redis');
  const containers = redis?.spec.template.spec.containers ?? [];
  const scripts = resources.find(({ metadata }) => metadata.name.startsWith('redis-sentinel-'))?.data ?? {};

  it('has a Sentinel beside each Redis, two of which decide, and keeps two of three through a drain', () => {
    expect(redis?.spec.replicas).toBe(3);
    expect(containers.map(({ name }) => name)).toEqual(['redis', 'sentinel']);
    // One image: the overlays name its version.
    expect(new Set(containers.map(({ image }) => image)).size).toBe(1);
    expect(scripts['sentinel.sh']).toContain('sentinel monitor segue redis-0.redis 6379 2');
    expect(find('PodDisruptionBudget', 'redis')?.spec).toEqual({
      minAvailable: 2,
      selector: { matchLabels: { [NAME]: 'redis' } },
    });
  });

  it('runs scripts that are there, with no password in what they call', () => {
    for (const { command, volumeMounts } of containers) {
      const [shell, script = ''] = command ?? [];
      expect(shell).toBe('sh');
      expect(volumeMounts).toContainEqual({ name: 'scripts', mountPath: '/scripts', readOnly: true });
      const text = scripts[script.replace('/scripts/', '')] ?? '';
      execFileSync('sh', ['-n'], { input: text });
      expect(text).toMatch(/^exec redis-server /m);
      expect(text).not.toMatch(/^(exec )?redis-\w+ .*PASSWORD/m);
    }
  });

  it.each(APPS)('tells the %s where every Sentinel is and how the master is called', (name) => {
    const sentinels = ['redis-0.redis:26379', 'redis-1.redis:26379', 'redis-2.redis:26379'].join(',');
    const { env = [], envFrom = [] } = find('Deployment', name)?.spec.template.spec.containers[0] ?? {};
    expect(find('ConfigMap', envFrom[0]?.configMapRef.name ?? '')?.data?.['SEGUE_REDIS_SENTINELS']).toBe(sentinels);
    const values = Object.fromEntries(env.map((variable) => [variable.name, variable.value]));
    expect(values['SEGUE_REDIS_URL']).toBe('redis://segue:$(REDIS_PASSWORD)@segue');
    expect(values['SEGUE_REDIS_SENTINEL_PASSWORD']).toBe('$(REDIS_PASSWORD)');
    // Kubernetes puts in what stands before, and leaves the rest as it is written.
    expect(env[0]).toEqual({
      name: 'REDIS_PASSWORD',
      valueFrom: { secretKeyRef: { name: 'redis', key: 'password' } },
    });
  });

  it('lets apps, Redis and Sentinels talk to Redis and Sentinels, and nobody else', () => {
    const who = { matchExpressions: [{ key: NAME, operator: 'In', values: [...APPS, 'redis'] }] };
    const where = { matchLabels: { [NAME]: 'redis' } };
    const ports = [{ port: 'redis' }, { port: 'sentinel' }];
    expect(containers.flatMap((one) => one.ports ?? []).map(({ name }) => ({ port: name }))).toEqual(ports);
    expect(find('NetworkPolicy', 'redis')?.spec).toEqual({
      podSelector: where,
      policyTypes: ['Ingress'],
      ingress: [{ from: [{ podSelector: who }], ports }],
    });
    expect(find('NetworkPolicy', 'to-redis')?.spec).toEqual({
      podSelector: who,
      policyTypes: ['Egress'],
      egress: [{ to: [{ podSelector: where }], ports }],
    });
  });
});

describe.skipIf(!kustomize)('pictures outside of Redis', () => {
  const readers = ['gateway', 'encoder-worker'];

  it.each([
    ['pictures-folder', 'file:///pictures'],
    ['pictures-s3', 's3://segue-pictures/segue?region=eu-central-1'],
  ])('are where components/%s says', (component, address) => {
    const settings = render(`components/${component}`).find(
      ({ kind, data }) => kind === 'ConfigMap' && data?.['SEGUE_MODEL'],
    );
    expect(settings?.data?.['SEGUE_PICTURE_STORE']).toBe(address);
  });

  it('may be written in their folder by gateways, read by encoder-workers, and seen by nobody else', () => {
    const resources = render('components/pictures-folder');
    expect(resources.find(({ kind }) => kind === 'PersistentVolumeClaim')).toMatchObject({
      metadata: { name: 'pictures' },
      spec: { accessModes: ['ReadWriteMany'] },
    });
    const mounts = APPS.map((name) =>
      podOf(resources, name).containers[0].volumeMounts.find((one) => one.name === 'pictures'),
    );
    const mount = { name: 'pictures', mountPath: '/pictures' };
    expect(mounts).toEqual([mount, { ...mount, readOnly: true }, undefined, undefined]);
    for (const name of readers) expect(JSON.stringify(podOf(resources, name))).toContain('"claimName":"pictures"');
  });

  it('are reached in S3 by gateways and encoder-workers, with credentials from a Secret', () => {
    const resources = render('components/network-policy', 'components/pictures-s3');
    const secret = (key: string) => ({ valueFrom: { secretKeyRef: { name: 's3', key } } });
    for (const name of APPS) {
      const env = (podOf(resources, name).containers[0].env ?? []).filter((variable) =>
        variable.name.startsWith('AWS_'),
      );
      const credentials = [
        { name: 'AWS_ACCESS_KEY_ID', ...secret('access-key-id') },
        { name: 'AWS_SECRET_ACCESS_KEY', ...secret('secret-access-key') },
      ];
      expect(env).toEqual(readers.includes(name) ? credentials : []);
    }
    const leaving = resources.filter(
      ({ kind, spec }) =>
        kind === 'NetworkPolicy' && JSON.stringify(spec).includes('"egress":[{"ports":[{"port":443}]}]'),
    );
    expect(leaving.map(({ spec }) => (spec as unknown as { podSelector: unknown }).podSelector)).toEqual(
      expect.arrayContaining(readers.map((name) => ({ matchLabels: { [NAME]: name } }))),
    );
    expect(leaving).toHaveLength(readers.length);
  });
});

function podOf(resources: readonly Resource[], name: string): Pod {
  const found = resources.find(({ kind, metadata }) => kind === 'Deployment' && metadata.name === name);
  if (!found) throw new Error(`there is no Deployment ${name}`);
  return found.spec.template.spec;
}

/** What `kubectl apply -k` would send; components are rendered over the base. */
function render(...folders: [string, ...string[]]): Resource[] {
  if (!kustomize) return [];
  if (folders[0].startsWith('overlays/')) return parse(join(ROOT, 'k8s', folders[0]));
  const temporary = realpathSync(mkdtempSync(join(tmpdir(), 'segue-kustomize-')));
  const path = (name: string) => relative(temporary, join(ROOT, 'k8s', name));
  try {
    writeFileSync(
      join(temporary, 'kustomization.yaml'),
      JSON.stringify({ namespace: 'segue', resources: [path('base')], components: folders.map(path) }),
    );
    return parse(temporary);
  } finally {
    rmSync(temporary, { recursive: true });
  }
}

function parse(folder: string): Resource[] {
  const text = execFileSync(kustomize ?? '', [kustomize?.endsWith('kubectl') ? 'kustomize' : 'build', folder], {
    encoding: 'utf8',
  });
  return parseAllDocuments(text).map((document) => document.toJS() as Resource);
}

/** An app's setting as its container gets it: from its own environment, or by default. */
async function setting(app: string, variable: string, { env = [] }: Container): Promise<unknown> {
  const own = env.find(({ name }) => name === variable)?.value;
  const config = await defaults(app, own === undefined ? {} : { [variable]: own });
  return Object.entries(config).find(([name]) => variableName(name) === variable)?.[1];
}
