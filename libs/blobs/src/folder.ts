import { randomUUID } from 'node:crypto';
import { mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { storeAway, type Blobs } from '@segue/core';
import { codeOf, systemError } from './errors.js';
import { checkName, isName } from './names.js';
import { tryOut } from './try-out.js';
import { within } from './within.js';

const REFUSED = new Set(['EACCES', 'EPERM', 'EROFS']);
/** A file server that is away keeps whoever asks it; the time that reading or writing a blob may take. */
const LONGEST_MS = 30_000;
const CHECK_MS = 5_000;

/**
 * Files in a folder that several machines may share. A file is written beside its place, flushed, and renamed into it, so that
 * whoever finds one finds all of it, also after a crash.
 */
export class FolderBlobs implements Blobs {
  readonly where: string;
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = folder;
    this.where = pathToFileURL(folder).href;
  }

  async put(name: string, bytes: Uint8Array, signal?: AbortSignal): Promise<void> {
    const path = join(this.#folder, checkName(name));
    const unfinished = `${path}-${randomUUID()}`;
    await this.#within(LONGEST_MS, signal, async (limit) => {
      await this.#expectFolder();
      await mkdir(join(path, '..'), { recursive: true });
      try {
        await writeFile(unfinished, bytes, { flag: 'wx', flush: true, signal: limit });
        await rename(unfinished, path);
      } catch (error) {
        await rm(unfinished, { force: true }).catch(() => undefined); // the sweep finds it
        throw error;
      }
    });
  }

  async get(name: string, signal?: AbortSignal): Promise<Buffer | undefined> {
    const path = join(this.#folder, checkName(name));
    return this.#within(LONGEST_MS, signal, async (limit) => {
      try {
        return await readFile(path, { signal: limit });
      } catch (error) {
        if (codeOf(error) !== 'ENOENT') throw error;
        await this.#expectFolder();
        return undefined;
      }
    });
  }

  async delete(name: string): Promise<void> {
    const path = join(this.#folder, checkName(name));
    await this.#within(LONGEST_MS, undefined, () => rm(path, { force: true }));
  }

  async *list(): AsyncGenerator<readonly string[]> {
    // Links are left alone: they may lead anywhere.
    const folders = await this.#entries('', (entry) => entry.isDirectory());
    for (const folder of folders.filter((name) => /^[a-z0-9-]{2}$/.test(name))) {
      const files = await this.#entries(folder, (entry) => entry.isFile());
      yield files.map((file) => `${folder}/${file}`).filter(isName);
    }
  }

  async problem(access: 'read' | 'write'): Promise<string | undefined> {
    try {
      await this.#within(CHECK_MS, undefined, async () => {
        if (!(await stat(this.#folder)).isDirectory()) throw Object.assign(new Error('no folder'), { code: 'ENOENT' });
        await readdir(this.#folder);
        if (access === 'write') await tryOut(this, access);
      });
      return undefined;
    } catch (error) {
      const cause = (error as Error).cause ?? error;
      const code = codeOf(cause);
      if (code === 'ENOENT' || code === 'ENOTDIR')
        return `There is no folder ${this.#folder}. Make it, or mount the volume that gateways and encoder-workers share.`;
      if (REFUSED.has(code))
        return `User ${process.geteuid?.() ?? ''} may not ${access} in ${this.#folder} (${code}). Change its owner or its mode.`;
      return `The folder ${this.#folder} cannot be used: ${(cause as Error).message}. Look at its disk or file server.`;
    }
  }

  close(): void {
    // Nothing is open between two calls.
  }

  async #entries(
    folder: string,
    wanted: (entry: { isDirectory(): boolean; isFile(): boolean }) => boolean,
  ): Promise<string[]> {
    return this.#within(LONGEST_MS, undefined, async () => {
      const entries = await readdir(join(this.#folder, folder), { withFileTypes: true });
      return entries.filter(wanted).map(({ name }) => name);
    });
  }

  /** A volume that is not mounted (any more) looks like one without the file. */
  async #expectFolder(): Promise<void> {
    try {
      await stat(this.#folder);
    } catch (error) {
      throw codeOf(error) === 'ENOENT' ? storeAway(error) : error;
    }
  }

  #within<T>(ms: number, signal: AbortSignal | undefined, act: (limit: AbortSignal) => Promise<T>): Promise<T> {
    // What waits for a file server in the kernel does not hear of a signal.
    return within(ms, signal, (limit) => Promise.race([act(limit), aborted(limit)]), systemError);
  }
}

function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
  });
}
