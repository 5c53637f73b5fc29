import { readFile, rename, writeFile } from 'node:fs/promises';
import { SegueError } from '@segue/core';
import { digestOfKey, newApiKey } from './api-key.js';
import { parseKeyring, type KeyringFile } from './keyring.js';

type Keys = KeyringFile['tenants'][string]['keys'];

/** What can be done to a file of keys. Each change is written at once: a gateway that follows the file sees it within a second. */
export class KeyCommands {
  readonly #path: string;

  constructor(path: string) {
    this.#path = path;
  }

  /** Makes a key; the tenant is new when nobody has its name. @returns the key, which is kept nowhere. */
  async create(tenant: string, { name, expires }: { name?: string; expires?: string } = {}): Promise<string> {
    const key = newApiKey();
    await this.#change((tenants) => {
      const keys = (tenants[tenant] ??= { keys: [], limits: {} }).keys;
      const named = name ?? nextName(keys);
      if (keys.some((each) => each.name === named)) throw invalid(`${tenant} has a key "${named}" already.`);
      keys.push({ name: named, sha256: digestOfKey(key), ...(expires !== undefined && { expires }) });
    });
    return key;
  }

  /** Makes a key that takes the place of the tenant's others, which stay valid for a while. @returns the key. */
  async rotate(tenant: string, keepMs: number): Promise<string> {
    const expires = new Date(Date.now() + keepMs).toISOString();
    await this.#change((tenants) => {
      for (const key of existing(tenants, tenant)) {
        if (key.expires === undefined || key.expires > expires) key.expires = expires;
      }
    });
    return this.create(tenant);
  }

  async revoke(tenant: string, name: string): Promise<void> {
    await this.#change((tenants) => {
      const keys = existing(tenants, tenant);
      const at = keys.findIndex((key) => key.name === name);
      if (at < 0) throw invalid(`${tenant} has no key "${name}".`);
      keys.splice(at, 1);
    });
  }

  /** One line for each key. */
  async list(): Promise<string[]> {
    const { tenants } = await this.#read();
    return Object.entries(tenants).flatMap(([tenant, { keys }]) =>
      keys.map(({ name, expires }) =>
        [tenant, name, ...(expires === undefined ? [] : [`until ${expires}`])].join('\t'),
      ),
    );
  }

  async #change(change: (tenants: KeyringFile['tenants']) => void): Promise<void> {
    const file = await this.#read();
    change(file.tenants);
    const text = `${JSON.stringify(file, undefined, 2)}\n`;
    parseKeyring(text);
    const next = `${this.#path}.new`;
    await writeFile(next, text, { mode: 0o600 });
    await rename(next, this.#path);
  }

  async #read(): Promise<KeyringFile> {
    try {
      return parseKeyring(await readFile(this.#path, 'utf8'));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return { tenants: {} };
      throw error;
    }
  }
}

function existing(tenants: KeyringFile['tenants'], tenant: string): Keys {
  const keys = Object.hasOwn(tenants, tenant) ? tenants[tenant]?.keys : undefined;
  if (!keys) throw invalid(`There is no tenant ${tenant}.`);
  return keys;
}

function nextName(keys: Keys): string {
  const used = keys.map(({ name }) => Number(/^key-(\d+)$/.exec(name)?.[1] ?? 0));
  return `key-${Math.max(0, ...used) + 1}`;
}

function invalid(message: string): SegueError {
  return new SegueError('INVALID_ARGUMENT', message);
}
