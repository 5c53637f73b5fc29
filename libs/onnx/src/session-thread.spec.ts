import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { Worker } from 'node:worker_threads';
import { expect, it } from 'vitest';
import type { SegueError } from '@segue/core';
import { CPU } from './device.js';
import { SessionThread } from './session-thread.js';

it('fails what waits and says so once when its thread dies', async () => {
  const fatal: SegueError[] = [];
  const path = fileURLToPath(new URL('../fixtures/scale.onnx', import.meta.url));
  const graphs = { scale: { path, outputs: ['y'] } };
  const made = once(process, 'worker') as Promise<[Worker]>;
  const thread = new SessionThread({
    ...{ graphs, threads: 1, prepack: true, device: CPU, hardLimitMs: 1_000 },
    onFatal: (error) => fatal.push(error),
  });
  await thread.ready;
  // Idle threads may be ended; one that runs a graph may not.
  const [worker] = await made;
  const ended = worker.terminate();
  const waiting = thread.run('scale', {});
  await expect(waiting).rejects.toMatchObject({
    code: 'INTERNAL',
    cause: { message: expect.stringContaining('the session thread ended') as string },
  });
  await expect(thread.run('scale', {})).rejects.toMatchObject({ code: 'INTERNAL' });
  await thread.close();
  await ended;
  expect(fatal).toHaveLength(1);
});
