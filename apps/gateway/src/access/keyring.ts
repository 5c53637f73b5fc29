import { PUBLIC_TENANT, SegueError, type Tenant } from '@segue/core';
import { z } from 'zod';
import { digestOfKey } from './api-key.js';

const keySchema = z.strictObject({
  /** By which people know the key; unique within its tenant. */
  name: z.string().min(1).max(100),
  sha256: z.string().regex(/^[0-9a-f]{64}$/, 'must be 64 hexadecimal digits'),
  expires: z.iso.datetime({ offset: true }).optional(),
});

const tenantSchema = z.strictObject({
  keys: z.array(keySchema).default([]),
  limits: z
    .strictObject({
      requestsPerMinute: z.int().min(1).optional(),
      burst: z.int().min(1).optional(),
      openJobs: z.int().min(1).optional(),
      pictureBytes: z.int().min(1).optional(),
      uploadBytes: z.int().min(1).optional(),
      openStreams: z.int().min(1).optional(),
    })
    .default({}),
});

const keyringSchema = z.strictObject({
  /** By name: lower-case letters, digits and hyphens. */
  tenants: z.record(z.string().regex(/^[a-z0-9][a-z0-9-]{0,62}$/), tenantSchema),
});

/** The file of keys, as docs/guides/tenants.md describes it. */
export type KeyringFile = z.infer<typeof keyringSchema>;

/** @throws SegueError INVALID_ARGUMENT that says where the file is wrong; it repeats no value. */
export function parseKeyring(text: string): KeyringFile {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    throw new SegueError('INVALID_ARGUMENT', 'The file of API keys is not JSON.');
  }
  const { success, data, error } = keyringSchema.safeParse(json);
  if (success) return data;
  const problems = error.issues.map(({ path, message }) => `  ${path.join('.')}: ${message}`);
  throw new SegueError('INVALID_ARGUMENT', `The file of API keys must be corrected:\n${problems.join('\n')}`);
}

/** Who holds which key. */
export class Keyring {
  readonly #holders = new Map<string, { readonly tenant: Tenant; readonly expiresAtMs: number }>();
  readonly #tenants: KeyringFile['tenants'];

  constructor({ tenants }: KeyringFile = { tenants: {} }) {
    for (const [name, { keys, limits }] of Object.entries(tenants)) {
      for (const { sha256, expires } of keys) {
        const expiresAtMs = expires === undefined ? Infinity : Date.parse(expires);
        this.#holders.set(sha256, { tenant: { name, limits }, expiresAtMs });
      }
    }
    this.#tenants = tenants;
  }

  /** Whoever need not say who it is. */
  get public(): Tenant {
    return this.tenant(PUBLIC_TENANT);
  }

  tenant(name: string): Tenant {
    return { name, limits: Object.hasOwn(this.#tenants, name) ? (this.#tenants[name]?.limits ?? {}) : {} };
  }

  holderOf(key: string): Tenant | undefined {
    const holder = this.#holders.get(digestOfKey(key));
    return holder && Date.now() < holder.expiresAtMs ? holder.tenant : undefined;
  }
}
