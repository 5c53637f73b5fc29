import { readFile } from 'node:fs/promises';
import { createSecureContext } from 'node:tls';
import { follow, SegueError, type Followed } from '@segue/core';

/** Paths of PEM files. */
export interface TlsFiles {
  /** Who we are: the certificate and those of its issuers. */
  readonly certFile: string;
  readonly keyFile: string;
  /** Whose certificates we accept; without it nobody is asked for one. */
  readonly caFile?: string | undefined;
}

/**
 * @param settings the beginning of the variables' names, for what is wrong with them.
 * @returns nothing when no file is named. @throws SegueError INVALID_ARGUMENT when only some are.
 */
export function tlsFilesOf(
  settings: string,
  { certFile, keyFile, caFile }: { readonly certFile: string; readonly keyFile: string; readonly caFile?: string },
): TlsFiles | undefined {
  const all = { CERT: certFile, KEY: keyFile, ...(caFile !== undefined && { CA: caFile }) };
  const missing = Object.entries(all).flatMap(([name, path]) => (path === '' ? [`${settings}_${name}_FILE`] : []));
  if (missing.length === Object.keys(all).length) return undefined;
  if (missing.length > 0) {
    throw new SegueError('INVALID_ARGUMENT', `Set ${missing.join(' and ')} too, or none of these files.`);
  }
  return { certFile, keyFile, caFile };
}

export interface Pem {
  readonly cert: Buffer;
  readonly key: Buffer;
  readonly ca?: Buffer;
}

/** Certificates that follow their files. */
export interface Certificates extends Followed<Pem> {
  /** Hears of every change. @returns ends it. */
  onChange(listener: (pem: Pem) => void): () => void;
}

export interface FollowOptions {
  readonly everyMs?: number;
  readonly onError: (error: unknown) => void;
}

/**
 * Reads the files and follows their changes.
 * @throws SegueError INVALID_ARGUMENT when the files are none of that kind at the start.
 */
export async function followCertificates(files: TlsFiles, options: FollowOptions): Promise<Certificates> {
  const listeners = new Set<(pem: Pem) => void>();
  const followed = await follow({
    ...options,
    read: () => readFiles(files),
    isSame,
    make: checked,
    onChange(pem) {
      for (const listener of listeners) listener(pem);
    },
  }).catch((cause: unknown) => {
    const named = [files.certFile, files.keyFile, files.caFile].filter((path) => path !== undefined).join(', ');
    throw new SegueError(
      'INVALID_ARGUMENT',
      `The certificate cannot be used: ${cause instanceof Error ? cause.message : String(cause)}. See ${named}.`,
      { cause },
    );
  });
  return {
    get current() {
      return followed.current;
    },
    onChange(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    stop: () => followed.stop(),
  };
}

async function readFiles({ certFile, keyFile, caFile }: TlsFiles): Promise<Pem> {
  const [cert, key] = await Promise.all([readFile(certFile), readFile(keyFile)]);
  return caFile === undefined ? { cert, key } : { cert, key, ca: await readFile(caFile) };
}

/** @throws Error when the key is not the certificate's, or one is no PEM. */
function checked(pem: Pem): Pem {
  createSecureContext(pem);
  return pem;
}

function isSame(a: Pem, b: Pem): boolean {
  return a.cert.equals(b.cert) && a.key.equals(b.key) && (a.ca === b.ca || (!!a.ca && !!b.ca && a.ca.equals(b.ca)));
}
