import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { SegueError } from '@segue/core';
import { loadBundle, locateBundles } from './load.js';
import type { BundleFile } from './manifest.js';

let root: string;
let dir: string;

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'segue-bundle-'));
  dir = join(root, 'one-input');
  await mkdir(dir);
  const text = await readFile(new URL('../fixtures/one-input.json', import.meta.url), 'utf8');
  const manifest = JSON.parse(text) as unknown;
  for (const entry of filesIn(manifest)) {
    const bytes = Buffer.from(`contents of ${entry.file}`);
    Object.assign(entry, { bytes: bytes.length, sha256: sha256(bytes) });
    await mkdir(dirname(join(dir, entry.file)), { recursive: true });
    await writeFile(join(dir, entry.file), bytes);
  }
  await writeFile(join(dir, 'manifest.json'), JSON.stringify(manifest));
});

afterEach(() => rm(root, { recursive: true }));

describe('loadBundle', () => {
  it('gives the manifest, its hash and paths', async () => {
    const bundle = await loadBundle(dir);
    expect(bundle.id).toBe('one-input@0.1.0');
    expect(bundle.manifest.encoder.decoderTensors).toEqual(['b2', 'b4']);
    expect(bundle.digest).toBe(sha256(await readFile(join(dir, 'manifest.json'))));
    expect(await readFile(bundle.file('golden/cases.json'), 'utf8')).toBe('contents of golden/cases.json');
  });

  it('says that a folder holds no bundle', async () => {
    const error = await failure(loadBundle(join(root, 'nothing')));
    expect(error).toMatchObject({
      code: 'NOT_FOUND',
      message: expect.stringContaining(join(root, 'nothing')) as string,
    });
  });

  it('names the wrong fields of a manifest', async () => {
    await writeFile(join(dir, 'manifest.json'), '{"schemaVersion": 1, "graphs": {"encoder": {"file": "e.onnx"}}}');
    const error = await failure(loadBundle(dir));
    expect(error.message).toContain(`${join(dir, 'manifest.json')} does not describe a model bundle`);
    expect(error.message).toMatch(/\n {2}graphs\.encoder\.sha256: /);
  });

  it('refuses a manifest that is not JSON', async () => {
    await writeFile(join(dir, 'manifest.json'), '{');
    expect((await failure(loadBundle(dir))).message).toMatch(/manifest\.json is not JSON/);
  });

  it('names a file that is missing', async () => {
    await rm(join(dir, 'language.bin'));
    expect((await failure(loadBundle(dir))).message).toMatch(/language\.bin is missing/);
  });

  it('names a file that was cut short, without hashing', async () => {
    await writeFile(join(dir, 'decoder.onnx'), 'cut');
    expect((await failure(loadBundle(dir, { verify: false }))).message).toMatch(
      /decoder\.onnx has 3 bytes instead of 24/,
    );
  });

  it('names a file that was changed', async () => {
    const path = join(dir, 'decoder.onnx');
    const bytes = await readFile(path);
    bytes[0]! ^= 1;
    await writeFile(path, bytes);
    expect((await failure(loadBundle(dir))).message).toMatch(/decoder\.onnx has SHA-256 [0-9a-f]{64} instead of/);
    await expect(loadBundle(dir, { verify: false })).resolves.toBeDefined();
  });

  it('checks both entries when two graphs disagree on a shared file', async () => {
    const manifest = JSON.parse(await readFile(join(dir, 'manifest.json'), 'utf8'));
    const [file] = manifest.graphs.language.externalData;
    manifest.graphs.seg_head.externalData = [{ ...file, sha256: '0'.repeat(64) }];
    await writeFile(join(dir, 'manifest.json'), JSON.stringify(manifest));
    expect((await failure(loadBundle(dir))).message).toMatch(/language\.bin has SHA-256/);
  });
});

describe('locateBundles', () => {
  it('finds the folders that hold a manifest', async () => {
    await mkdir(join(root, 'another'));
    await writeFile(join(root, 'another', 'manifest.json'), '{}');
    await mkdir(join(root, 'empty'));
    await writeFile(join(root, 'README.md'), '');
    expect(await locateBundles(root)).toEqual([join(root, 'another'), dir]);
  });

  it('says that the folder cannot be read', async () => {
    expect((await failure(locateBundles(join(root, 'nothing')))).code).toBe('NOT_FOUND');
  });
});

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

function filesIn(value: unknown): BundleFile[] {
  if (typeof value !== 'object' || value === null) return [];
  return [...('sha256' in value ? [value as BundleFile] : []), ...Object.values(value).flatMap(filesIn)];
}

async function failure(promise: Promise<unknown>): Promise<SegueError> {
  const error: unknown = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (error instanceof SegueError) return error;
  throw new Error('expected a SegueError', { cause: error });
}
