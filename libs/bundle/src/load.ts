import { createHash } from 'node:crypto';
import { createReadStream, existsSync } from 'node:fs';
import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { SegueError } from '@segue/core';
import { ManifestSchema, type BundleFile, type Manifest } from './manifest.js';

/** A model bundle whose manifest and files have been checked. */
export interface Bundle {
  readonly dir: string;
  readonly manifest: Manifest;
  /** SHA-256 of `manifest.json`, hex. It names the exact weights, since the manifest holds their hashes. */
  readonly digest: string;
  /** `name@version` */
  readonly id: string;
  /** Path of a file of the bundle. */
  file(name: string): string;
}

export interface LoadOptions {
  /** Compare the files' hashes, not only their sizes. Default true; leave it on wherever a bundle is served. */
  readonly verify?: boolean;
}

const MANIFEST = 'manifest.json';

/**
 * Reads and checks the bundle in a folder.
 * @throws SegueError NOT_FOUND without a manifest; INTERNAL when the manifest or a file does not fit. It names the file.
 */
export async function loadBundle(dir: string, { verify = true }: LoadOptions = {}): Promise<Bundle> {
  const bytes = await readFile(join(dir, MANIFEST)).catch((cause: unknown) => {
    throw new SegueError(
      'NOT_FOUND',
      `There is no model bundle in ${dir}: ${MANIFEST} cannot be read. Name a folder that holds one.`,
      { cause },
    );
  });
  const manifest = parseManifest(bytes, dir);
  const file = (name: string): string => join(dir, name);
  for (const entry of filesOf(manifest)) await checkFile(file(entry.file), entry, verify);
  return {
    dir,
    manifest,
    digest: createHash('sha256').update(bytes).digest('hex'),
    id: `${manifest.name}@${manifest.version}`,
    file,
  };
}

/** Folders under `root` that hold a manifest, sorted. */
export async function locateBundles(root: string): Promise<string[]> {
  const entries = await readdir(root).catch((cause: unknown) => {
    throw new SegueError(
      'NOT_FOUND',
      `The models folder ${root} cannot be read. Name the folder that holds the bundles.`,
      { cause },
    );
  });
  return entries
    .map((name) => join(root, name))
    .filter((dir) => existsSync(join(dir, MANIFEST)))
    .sort();
}

function parseManifest(bytes: Uint8Array, dir: string): Manifest {
  const path = join(dir, MANIFEST);
  let json: unknown;
  try {
    json = JSON.parse(new TextDecoder().decode(bytes));
  } catch (cause) {
    throw new SegueError('INTERNAL', `${path} is not JSON. Restore the bundle.`, { cause });
  }
  const result = ManifestSchema.safeParse(json);
  if (result.success) return result.data;
  const problems = result.error.issues.map((issue) => `${fieldName(issue.path)}: ${issue.message}`);
  throw new SegueError('INTERNAL', `${path} does not describe a model bundle. Correct:\n  ${problems.join('\n  ')}`, {
    details: { problems },
    cause: result.error,
  });
}

function fieldName(path: readonly PropertyKey[]): string {
  const name = path.map((part) => (typeof part === 'number' ? `[${part}]` : `.${String(part)}`)).join('');
  return name.replace(/^\./, '') || 'manifest';
}

function filesOf({ graphs, language, golden }: Manifest): BundleFile[] {
  const files = new Map<string, BundleFile>();
  const all = [...Object.values(graphs).flatMap((graph) => [graph, ...graph.externalData]), language.tokenizer, golden];
  // Graphs may share a file of weights: it is read once.
  for (const { file, sha256, bytes } of all) files.set(`${file} ${sha256}`, { file, sha256, bytes });
  return [...files.values()];
}

async function checkFile(path: string, wanted: BundleFile, verify: boolean): Promise<void> {
  const found = await stat(path).catch((cause: unknown) => {
    throw new SegueError('INTERNAL', `${path} is missing, but the manifest names it. Restore the bundle.`, { cause });
  });
  if (found.size !== wanted.bytes) {
    throw new SegueError('INTERNAL', `${path} has ${found.size} bytes instead of ${wanted.bytes}. ${REPLACE}`);
  }
  if (!verify) return;
  const hash = createHash('sha256');
  await pipeline(createReadStream(path, { highWaterMark: 1 << 20 }), hash);
  const sha256 = hash.digest('hex');
  if (sha256 !== wanted.sha256) {
    throw new SegueError('INTERNAL', `${path} has SHA-256 ${sha256} instead of ${wanted.sha256}. ${REPLACE}`);
  }
}

const REPLACE =
  'The file was cut short, changed, or belongs to another version (or is a pointer left by Git LFS). Restore the bundle.';
