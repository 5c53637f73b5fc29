import { readdir, readFile, stat } from 'node:fs/promises';
import { basename, extname, isAbsolute, join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { SegueError } from '@segue/client';

const EXTENSIONS = ['.jpg', '.jpeg', '.png', '.webp'];

/** A picture to ask about, not read yet. */
export interface Photo {
  /** As it is shown: its path, or `-` for standard input. */
  readonly path: string;
  /** Its name without folder and extension, for what is written about it. */
  readonly stem: string;
  read(): Promise<Uint8Array>;
}

/**
 * The photos that arguments name: files, folders (their JPEG, PNG and WebP files), patterns such as `trip/*.jpg`, and `-`
 * for standard input. Each once, in the order of the arguments.
 * @throws SegueError NOT_FOUND
 */
export async function findPhotos(names: readonly string[]): Promise<Photo[]> {
  const paths = await Promise.all(names.map(expand));
  return [...new Set(paths.flat())].map((path) => ({
    path,
    stem: path === '-' ? 'stdin' : basename(path, extname(path)),
    read: () => (path === '-' ? buffer(process.stdin) : readFile(path)),
  }));
}

async function expand(name: string): Promise<string[]> {
  if (name === '-') return [name];
  const found = await stat(name).catch(() => undefined);
  if (found?.isFile()) return [name];
  const inside = found?.isDirectory() ? (await readdir(name)).map((entry) => join(name, entry)) : await matches(name);
  const photos = inside.filter((path) => EXTENSIONS.includes(extname(path).toLowerCase())).toSorted();
  if (photos.length === 0) throw new SegueError('NOT_FOUND', `There is no photo at ${name}.`);
  return photos;
}

async function matches(pattern: string): Promise<string[]> {
  const { glob, isDynamicPattern } = await import('tinyglobby');
  return isDynamicPattern(pattern) ? glob(pattern, { expandDirectories: false, absolute: isAbsolute(pattern) }) : [];
}
