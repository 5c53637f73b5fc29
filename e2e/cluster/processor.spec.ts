import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, expect, it } from 'vitest';
import { APPS, apply, ask, available, kubectl, readyOf, WORKERS } from './cluster.js';
import { ROOT, tell } from './commands.js';

// overlays/local with components/autoscale-hpa: horizontal autoscalers that go by the CPU that metrics-server tells, no KEDA.

/** Jobs under way at the same time: enough to keep an llm-worker busy. */
const AT_ONCE = 8;

beforeAll(async () => {
  // What the spec before may have left: KEDA's numbers of pods, among them none, from which no horizontal autoscaler starts.
  await kubectl('delete', '--ignore-not-found', 'scaledobject', '--all');
  await kubectl('delete', '--ignore-not-found', ...Object.values(WORKERS).map((name) => `deployment/${name}`));
  await apply('e2e/cluster/overlays/processor');
  await kubectl('rollout', 'status', 'statefulset/redis', '--timeout=300s');
  for (const name of APPS) await available(name);
  tell('overlays/local: all available');
});

it('starts a second llm-worker while one is busy, and takes it away when there is nothing to do', async () => {
  const image = await readFile(join(ROOT, 'examples/coffee.jpg'));
  let enough = false;
  let answered = 0;
  const asking = Array.from({ length: AT_ONCE }, async (_, place) => {
    for (let turn = 0; !enough; turn++) {
      const instruction = `Where is the drink? (${place}, ${turn})`;
      const answer = await ask((client) => client.segment({ image, instruction, timeoutMs: 300_000 }));
      expect(answer.segments.length).toBeGreaterThan(0);
      answered++;
    }
  });
  try {
    tell(`${AT_ONCE} questions at a time`);
    await expect.poll(() => readyOf('llm-worker'), { timeout: 300_000, interval: 1_000 }).toBe(2);
    tell('two llm-workers are ready');
  } finally {
    enough = true;
    await Promise.all(asking);
  }
  tell(`${answered} questions, all answered`);
  await expect.poll(() => readyOf('llm-worker'), { timeout: 240_000, interval: 1_000 }).toBe(1);
  tell('one is left');
});
