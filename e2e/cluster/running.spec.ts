import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import {
  APPS,
  ask,
  available,
  gatewayAddress,
  kubectl,
  podsOf,
  readyOf,
  tellReplicas,
  wantedReplicas,
  WORKERS,
} from './cluster.js';
import { ROOT, runStep, tell } from './commands.js';
import { whileJobsRun } from './jobs.js';
import { askForDashboard, tellPods } from './prometheus.js';
import { askCalmly, changeUnderQuestions, storedPicture } from './update.js';

// The whole service of overlays/production in pods of a real kubelet, with KEDA, by the steps of docs/guides/kubernetes.md.

let coffee: Buffer;
let telling: ReturnType<typeof tellPods>;
beforeAll(async () => {
  coffee = await readFile(join(ROOT, 'examples/coffee.jpg'));
  await runStep(2);
  tell('step 2 of the guide: the password of Redis');
  telling = tellPods();
  await runStep(3);
  for (const name of APPS) await available(name);
  tell('step 3 of the guide: all available');
});
afterAll(() => telling.stop());

it('answers what step 4 of the guide asks', async () => {
  const words = (await runStep(4)).split('\n').at(-1);
  tell(`step 4 of the guide: ${words}`);
  expect(words).toContain('<SEG>');
});

it('tells the load as step 5 of the guide asks for it', async () => {
  const output = await runStep(5);
  const { stages } = JSON.parse(output.slice(output.indexOf('{'))) as { stages: Record<string, object> };
  tell(`step 5 of the guide: ${JSON.stringify(stages['generate'])}`);
  expect(Object.keys(stages)).toEqual(Object.keys(WORKERS));
});

it('answers a question from nothing: encoder and decoder are started for it', async () => {
  const replicas = tellReplicas();
  try {
    await expect
      .poll(wantedReplicas, { timeout: 180_000, interval: 1_000 })
      .toEqual({ encode: 0, generate: 1, decode: 0 });
    // Those that are told to stop still work for a while.
    const left = () =>
      kubectl('get', 'pods', '--output=name', '--selector=app.kubernetes.io/name in (encoder-worker, decoder-worker)');
    await expect.poll(left, { timeout: 90_000, interval: 1_000 }).toBe('');
    tell('asking; encoder and decoder have no pod');
    const seen: string[] = [];
    const answer = await ask(async (client) => {
      for await (const event of client.stream({
        image: coffee,
        instruction: 'Where is the drink?',
        timeoutMs: 300_000,
      })) {
        seen.push(event.type);
        if (event.type === 'starting')
          tell(`the client hears that these are being started: ${event.stages.join(', ')}`);
        if (event.type === 'completed') return event.answer;
        if (event.type === 'failed') throw new Error(event.error.message);
      }
      throw new Error(`the events ended: ${seen.join(', ')}`);
    });
    tell(`“${answer.text}” with ${answer.segments.length} mask(s)`);
    expect(seen).toContain('starting');
    expect(answer.segments.length).toBeGreaterThan(0);
  } finally {
    await replicas.stop();
  }
});

it('keeps Redis shut to whoever has no password', async () => {
  const inside = (...args: string[]) => kubectl('exec', 'redis-0', '--', ...args);
  await expect(inside('env', '-u', 'REDISCLI_AUTH', 'redis-cli', '-e', 'ping')).rejects.toThrow(/NOAUTH/);
  await expect(inside('redis-cli', '--user', 'segue', '-e', 'config', 'get', 'dir')).rejects.toThrow(/NOPERM/);
  expect(await inside('redis-cli', '--user', 'segue', '-e', 'ping')).toBe('PONG');
});

it('serves metrics and documents at the admin port alone', async () => {
  const [gateway] = await podsOf('gateway');
  const status = async (port: number, path: string) =>
    (await fetch(`http://${gateway?.status.podIP}:${port}${path}`)).status;
  for (const path of ['/metrics', '/load', '/docs']) {
    expect([path, await status(8080, path), await status(8090, path)]).toEqual([path, 404, 200]);
  }
});

// From here on one of each: what is deleted is to come back by itself.
it.each([...APPS, 'redis'])('loses no job when a pod of the %s is deleted in mid-job', async (name) => {
  await keepOneOfEach();
  const { ended, failed } = await whileJobsRun(coffee, 12, async (open) => {
    const pods = (await podsOf(name)).map(({ metadata }) => metadata.name);
    expect(pods).not.toEqual([]);
    // While a stage has no worker, new jobs are refused, so none may be left when the pod is gone.
    tell(`deleting ${pods.join(', ')}, with ${open.size} jobs under way`);
    expect(open.size).toBeGreaterThan(0);
    // An app may be killed at any time; Redis has its time to write down what it holds (appendfsync everysec).
    const grace = name === 'redis' ? [] : ['--grace-period=1'];
    await kubectl('delete', 'pods', ...grace, ...pods);
    tell('gone');
    await kubectl('rollout', 'status', `${name === 'redis' ? 'statefulset' : 'deployment'}/${name}`, '--timeout=300s');
  });
  tell(`${name} is back; ${ended} jobs ended, ${failed.length} failed`);
  expect(failed).toEqual([]);
});

it('answers all the while that another model takes the place of this one by step 7, and when that is undone', async () => {
  await keepOneOfEach();
  const deployments = APPS.map((name) => `deployment/${name}`);
  const path = 'jsonpath={.spec.template.spec.initContainers[0].image}';
  const image = await kubectl('get', 'deployment/gateway', '--output', path);
  const first = await askCalmly();
  const askAgain = await storedPicture();
  const second = await changeUnderQuestions(first, `${image}-2`, () => runStep(7));
  expect(second.model).not.toBe(first.model);
  await askAgain();
  tell('a picture that was stored before is encoded anew, and the answer is right');
  const third = await changeUnderQuestions(second, image, async () => {
    await kubectl('rollout', 'undo', ...deployments);
    for (const name of APPS) await available(name);
  });
  expect(third).toEqual(first);
});

it('marks a pod for an autoscaler to spare while its worker is busy', async () => {
  await keepOneOfEach();
  const cost = async () =>
    (await podsOf('llm-worker')).map(
      ({ metadata }) => metadata.annotations?.['controller.kubernetes.io/pod-deletion-cost'],
    );
  const { failed } = await whileJobsRun(coffee, 12, () =>
    expect
      .poll(cost, { timeout: 60_000, interval: 500 })
      .toEqual(['1'])
      .then(() => tell('its deletion costs 1')),
  );
  expect(failed).toEqual([]);
  await expect.poll(cost, { timeout: 60_000, interval: 500 }).toEqual(['0']);
  tell('its deletion costs nothing any more');
});

it('starts a second llm-worker while there is enough for two, and loses no job when it goes again', async () => {
  await keepOneOfEach();
  // Held, so that it does not depend on the machine how much there is to do.
  await llmStage('pause');
  const { ended, failed } = await whileJobsRun(coffee, 30, async () => {
    await kubectl('annotate', 'scaledobject/llm-worker', 'autoscaling.keda.sh/paused-replicas-');
    tell('30 jobs wait, and the autoscaler may have two llm-workers');
    await expect.poll(() => readyOf('llm-worker'), { timeout: 240_000, interval: 1_000 }).toBe(2);
    tell('two are ready');
    await llmStage('resume');
  });
  expect(failed).toEqual([]);
  tell(`${ended} jobs ended`);
  await expect.poll(() => readyOf('llm-worker'), { timeout: 240_000, interval: 1_000 }).toBe(1);
  tell('one is left');
});

it('starts a third gateway while two have much to do, by their CPU as metrics-server tells it', async () => {
  await kubectl('annotate', 'scaledobject/gateway', 'autoscaling.keda.sh/paused-replicas-');
  await expect.poll(() => readyOf('gateway'), { timeout: 180_000, interval: 1_000 }).toBe(2);
  tell('two gateways, and requests to both without a pause');
  let enough = false;
  const asking = (await podsOf('gateway')).flatMap(({ status }) =>
    Array.from({ length: 8 }, async () => {
      while (!enough) await fetch(`http://${status.podIP}:8080/v1/models`).then((response) => response.text());
    }),
  );
  try {
    await expect.poll(() => readyOf('gateway'), { timeout: 240_000, interval: 1_000 }).toBe(3);
    tell('three are ready');
  } finally {
    enough = true;
    await Promise.all(asking);
  }
  await expect.poll(() => readyOf('gateway'), { timeout: 240_000, interval: 1_000 }).toBe(2);
  tell('two are left');
});

it('has told Prometheus all that the dashboard asks for', async () => {
  const { asked, empty } = await askForDashboard();
  tell(`the dashboard: ${asked} queries, ${empty.length} without an answer`);
  expect(empty).toEqual([]);
});

async function llmStage(action: 'pause' | 'resume'): Promise<void> {
  const url = `http://${await gatewayAddress()}:8090/stages/generate/${action}`;
  // The key of overlays/running.
  const { status } = await fetch(url, { method: 'POST', headers: { authorization: 'Bearer the-test-operators-key' } });
  expect(status).toBe(204);
}

async function keepOneOfEach(): Promise<void> {
  const workers = Object.values(WORKERS);
  const objects = workers.map((name) => `scaledobject/${name}`);
  await kubectl('annotate', '--overwrite', ...objects, 'autoscaling.keda.sh/paused-replicas=1');
  await kubectl('annotate', '--overwrite', 'scaledobject/gateway', 'autoscaling.keda.sh/paused-replicas=2');
  for (const name of workers) await expect.poll(() => readyOf(name), { timeout: 180_000, interval: 1_000 }).toBe(1);
}
