import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'vitest';
import { ask } from './cluster.js';

/** Keeps so many jobs under way while something is done, and waits until all have ended. */
export async function whileJobsRun(
  image: Uint8Array,
  atOnce: number,
  disturb: (open: ReadonlySet<string>) => Promise<void>,
): Promise<{ readonly ended: number; readonly failed: readonly string[] }> {
  const open = new Set<string>();
  const failed: string[] = [];
  let ended = 0;
  let enough = false;
  const asking = Array.from({ length: atOnce }, async (_, place) => {
    for (let turn = 0; turn === 0 || !enough; turn++) {
      const instruction = `Where is the drink? (${place}, ${turn})`;
      const request = { image, instruction, timeoutMs: 600_000 };
      const { jobId } = await ask((client) => client.jobs.submit(request));
      open.add(jobId);
      const job = await untilEnded(jobId);
      open.delete(jobId);
      ended++;
      if (job.state !== 'completed') failed.push(JSON.stringify(job));
    }
  });
  const asked = Promise.all(asking);
  try {
    await expect.poll(() => open.size, { timeout: 60_000, interval: 50 }).toBeGreaterThan(atOnce / 2);
    await disturb(open);
  } finally {
    enough = true;
    await asked;
  }
  return { ended, failed };
}

async function untilEnded(id: string) {
  for (;;) {
    const job = await ask((client) => client.jobs.get(id));
    if (['completed', 'failed', 'cancelled'].includes(job.state)) return job;
    await sleep(200);
  }
}
