import { createHash } from 'node:crypto';
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { TINY_BUNDLE_DIR } from '@segue/testing';
import { afterAll, afterEach, beforeAll, expect, it, vi } from 'vitest';
import { MANY_SEGMENTS, WIDE } from './pictures.js';
import { System } from './system.js';

const HANGING_DECODER = new URL('../fixtures/hang.onnx', import.meta.url);

let bundleDir: string;
beforeAll(async () => {
  bundleDir = join(await mkdtemp(join(tmpdir(), 'segue-hung-')), basename(TINY_BUNDLE_DIR));
  await copyWithHangingDecoder(bundleDir);
});
afterAll(() => rm(dirname(bundleDir), { recursive: true }));

let system: System;
afterEach(() => system.stop());

it('a run that never comes back from native code ends its process at the limit, and it counts no more', async () => {
  const envOf = (name: string) => (name === 'decoder-worker' ? { SEGUE_RUN_LIMIT_MS: '1000' } : {});
  system = await System.start({ bundleDir, envOf });
  const decoder = system.app('decoder-worker');
  const workers = () => system.app('gateway').metric('segue_stage_workers', { stage: 'decode' });
  expect(await workers()).toBe(1);

  await system.client.jobs.submit({ image: WIDE, instruction: MANY_SEGMENTS });
  await vi.waitUntil(() => decoder.output.includes('ending the process'), { timeout: 60_000 });
  expect(decoder.output).toContain('A run of the graph decoder took more than 1000 ms.');
  await Promise.race([decoder.exited, sleep(5_000)]);
  expect(decoder.ended).toBe('was ended by SIGKILL');
  await vi.waitUntil(async () => (await workers()) === 0, { timeout: 10_000 });
});

/** The tiny bundle with a mask decoder whose runs never end, except on the zeros by which a worker warms up. */
async function copyWithHangingDecoder(to: string): Promise<void> {
  await cp(TINY_BUNDLE_DIR, to, { recursive: true });
  const decoder = await readFile(HANGING_DECODER);
  await writeFile(join(to, 'decoder.onnx'), decoder);
  const manifest = JSON.parse(await readFile(join(to, 'manifest.json'), 'utf8')) as { graphs: { decoder: object } };
  const sha256 = createHash('sha256').update(decoder).digest('hex');
  const graph = { ...manifest.graphs.decoder, sha256, bytes: decoder.byteLength };
  const changed = { ...manifest, graphs: { ...manifest.graphs, decoder: graph } };
  await writeFile(join(to, 'manifest.json'), JSON.stringify(changed));
}
