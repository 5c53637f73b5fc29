import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, expect, it } from 'vitest';
import { APPS, apply, ask, available, kubectl, podsOf, readyOf, WORKERS } from './cluster.js';
import { ROOT, run, runStep, tell } from './commands.js';

// overlays/local with keys, certificates between workers, and horizontal autoscalers that go by the CPU that metrics-server tells; no
// KEDA.

/** Jobs under way at the same time: enough to keep an llm-worker busy. */
const AT_ONCE = 8;

let image: Buffer;
let headers: { readonly authorization: string };
beforeAll(async () => {
  image = await readFile(join(ROOT, 'examples/coffee.jpg'));
  // What the spec before may have left: KEDA's numbers of pods, among them none, from which no horizontal autoscaler starts.
  await kubectl('delete', '--ignore-not-found', 'scaledobject', '--all');
  await kubectl('delete', '--ignore-not-found', ...Object.values(WORKERS).map((name) => `deployment/${name}`));
  await kubectl('apply', '--filename', 'k8s/base/namespace.yaml');
  const key = /^segue_\S{43}$/m.exec(await runStep(6))?.[0];
  headers = { authorization: `Bearer ${key}` };
  tell('step 6 of the guide: a key, and certificates of the workers');
  await apply('e2e/cluster/overlays/processor');
  await kubectl('rollout', 'status', 'statefulset/redis', '--timeout=300s');
  for (const name of APPS) await available(name);
  tell('overlays/local: all available');
});

it('answers who shows a key, and nobody else', async () => {
  const question = { image, instruction: 'Where is the drink?', timeoutMs: 300_000 };
  await expect(ask((client) => client.segment(question))).rejects.toMatchObject({ code: 'UNAUTHENTICATED' });
  const { text, segments } = await ask((client) => client.segment(question), headers);
  tell(`who shows a key is told “${text}” with ${segments.length} mask(s), who shows none is refused`);
  expect(segments.length).toBeGreaterThan(0);
});

it('lets nobody have tensors but workers, who show certificates', async () => {
  const [encoder] = await podsOf('encoder-worker');
  const address = `${encoder?.status.podIP}:50061`;
  // What the encoder-worker says to whoever shows no certificate, and by which authority its own is.
  const handshake = await run('bash', '-c', `openssl s_client -connect ${address} </dev/null 2>&1 || true`);
  tell(`the tensors of the encoder-worker: ${/^issuer=.*$/m.exec(handshake)?.[0]}`);
  expect(handshake).toContain('issuer=CN = segue-workers-ca');
  const plain = await run(
    'bash',
    '-c',
    `curl --silent --http2-prior-knowledge http://${address} 2>&1; echo "status $?"`,
  );
  expect(plain).not.toContain('status 0');
});

it('starts a second llm-worker while one is busy, and takes it away when there is nothing to do', async () => {
  let enough = false;
  let answered = 0;
  const asking = Array.from({ length: AT_ONCE }, async (_, place) => {
    for (let turn = 0; !enough; turn++) {
      const instruction = `Where is the drink? (${place}, ${turn})`;
      const answer = await ask((client) => client.segment({ image, instruction, timeoutMs: 300_000 }), headers);
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
