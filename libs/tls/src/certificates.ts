import { readFile } from 'node:fs/promises';
import { createSecureContext } from 'node:tls';
import { SegueError, startPeriodic } from '@segue/core';

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
export interface Certificates {
  readonly current: Pem;
  /** Hears of every change. @returns ends it. */
  onChange(listener: (pem: Pem) => void): () => void;
  stop(): Promise<void>;
}

export interface FollowOptions {
  readonly everyMs?: number;
  readonly onError: (error: unknown) => void;
}

/**
 * Reads the files and follows their changes. What cannot be used, for instance half of a change, is told of, and the
 * certificates before it hold.
 * @throws SegueError INVALID_ARGUMENT when the files are none of that kind at the start.
 */
export async function followCertificates(
  files: TlsFiles,
  { everyMs = 1_000, onError }: FollowOptions,
): Promise<Certificates> {
  const listeners = new Set<(pem: Pem) => void>();
  let current = await read(files);
  let refused: Pem | undefined;
  const following = startPeriodic({
    everyMs,
    async run() {
      const next = await readFiles(files);
      if (isSame(next, current) || (refused && isSame(next, refused))) return;
      refused = next;
      check(next);
      [current, refused] = [next, undefined];
      for (const listener of listeners) listener(current);
    },
    onError,
  });
  return {
    get current() {
      return current;
    },
    onChange(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    stop: () => following.stop(),
  };
}

async function read(files: TlsFiles): Promise<Pem> {
  try {
    const pem = await readFiles(files);
    check(pem);
    return pem;
  } catch (cause) {
    const named = [files.certFile, files.keyFile, files.caFile].filter((path) => path !== undefined).join(', ');
    throw new SegueError(
      'INVALID_ARGUMENT',
      `The certificate cannot be used: ${cause instanceof Error ? cause.message : String(cause)}. See ${named}.`,
      { cause },
    );
  }
}

async function readFiles({ certFile, keyFile, caFile }: TlsFiles): Promise<Pem> {
  const [cert, key] = await Promise.all([readFile(certFile), readFile(keyFile)]);
  return caFile === undefined ? { cert, key } : { cert, key, ca: await readFile(caFile) };
}

/** @throws Error when the key is not the certificate's, or one is no PEM. */
function check(pem: Pem): void {
  createSecureContext(pem);
}

function isSame(a: Pem, b: Pem): boolean {
  return a.cert.equals(b.cert) && a.key.equals(b.key) && (a.ca === b.ca || (!!a.ca && !!b.ca && a.ca.equals(b.ca)));
}
