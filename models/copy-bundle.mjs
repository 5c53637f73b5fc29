// node copy-bundle.mjs FROM TO
// Copies a model bundle and compares every file that its manifest names with the hash it gives. The manifest comes last:
// a folder without one is no bundle, so nobody serves half a copy. What is there already, whole, stays as it is: somebody may be
// serving it. Needs nothing but Node.
import { createHash } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join, normalize } from 'node:path';
import { pipeline } from 'node:stream/promises';

const MANIFEST = 'manifest.json';

/** Name -> SHA-256 of every file that a part of the manifest names. */
function filesOf(part, files = new Map()) {
  if (typeof part !== 'object' || part === null) return files;
  if (typeof part.file === 'string' && typeof part.sha256 === 'string') files.set(part.file, part.sha256);
  for (const inner of Object.values(part)) filesOf(inner, files);
  return files;
}

async function hashOf(path) {
  const hash = createHash('sha256');
  await pipeline(createReadStream(path), hash);
  return hash.digest('hex');
}

/** Whether a folder holds exactly this bundle. */
async function holds(folder, manifest, files) {
  try {
    if (!manifest.equals(await readFile(join(folder, MANIFEST)))) return false;
    for (const [file, sha256] of files) if ((await hashOf(join(folder, file))) !== sha256) return false;
    return true;
  } catch (error) {
    if (error.code === 'ENOENT') return false;
    throw error;
  }
}

async function copy(from, to) {
  const hash = createHash('sha256');
  await mkdir(dirname(to), { recursive: true });
  await pipeline(
    createReadStream(from),
    async function* (chunks) {
      for await (const chunk of chunks) {
        hash.update(chunk);
        yield chunk;
      }
    },
    createWriteStream(to),
  );
  return hash.digest('hex');
}

const [from, to] = process.argv.slice(2);
if (!from || !to) throw new Error('Say from where to where: node copy-bundle.mjs FROM TO');
const manifest = await readFile(join(from, MANIFEST));
const { name, version, ...parts } = JSON.parse(manifest.toString('utf8'));
const files = filesOf(parts);
for (const file of files.keys())
  if (normalize(file) !== file || file.startsWith('..')) throw new Error(`${file} leads out of the bundle`);
if (await holds(to, manifest, files)) {
  console.log(JSON.stringify({ msg: 'the bundle is there', bundle: `${name}@${version}`, to }));
  process.exit(0);
}
await rm(join(to, MANIFEST), { force: true });
for (const [file, sha256] of files) {
  const found = await copy(join(from, file), join(to, file));
  if (found !== sha256) throw new Error(`${file} has SHA-256 ${found} instead of ${sha256}. Build the image again.`);
}
await writeFile(join(to, `${MANIFEST}.part`), manifest);
await rename(join(to, `${MANIFEST}.part`), join(to, MANIFEST));
console.log(JSON.stringify({ msg: 'bundle copied', bundle: `${name}@${version}`, to }));
