import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** Paths of a certificate and its key. */
export interface TestCertificate {
  readonly certFile: string;
  readonly keyFile: string;
}

export interface TestCertificateOptions {
  /** Names and addresses that the certificate is for: `DNS:localhost`, `IP:127.0.0.1`. */
  readonly names?: readonly string[];
  /** Days from now; a negative number for one that has expired. */
  readonly days?: number;
}

/** An authority of one test, by the program `openssl`. */
export class TestAuthority {
  readonly #folder: string;
  #made = 0;

  private constructor(folder: string) {
    this.#folder = folder;
  }

  static async create(): Promise<TestAuthority> {
    const authority = new TestAuthority(await mkdtemp(join(tmpdir(), 'segue-ca-')));
    const { caFile } = authority;
    const subject = ['-subj', '/CN=test authority', '-days', '2'];
    await authority.#openssl('req', '-x509', ...NEW_KEY, authority.#path('ca.key'), '-out', caFile, ...subject);
    return authority;
  }

  get caFile(): string {
    return this.#path('ca.pem');
  }

  async issue({
    names = ['DNS:localhost', 'IP:127.0.0.1'],
    days = 2,
  }: TestCertificateOptions = {}): Promise<TestCertificate> {
    const name = `leaf-${++this.#made}`;
    const [request, extensions] = [this.#path(`${name}.csr`), this.#path(`${name}.ext`)];
    const [certFile, keyFile] = [this.#path(`${name}.pem`), this.#path(`${name}.key`)];
    await writeFile(extensions, `subjectAltName=${names.join(',')}\n`);
    await this.#openssl('req', ...NEW_KEY, keyFile, '-out', request, '-subj', '/CN=test');
    const issuer = ['-CA', this.caFile, '-CAkey', this.#path('ca.key'), '-set_serial', String(this.#made)];
    const validity = ['-days', String(days)];
    await this.#openssl(
      'x509',
      '-req',
      '-in',
      request,
      ...issuer,
      ...validity,
      '-extfile',
      extensions,
      '-out',
      certFile,
    );
    return { certFile, keyFile };
  }

  remove(): Promise<void> {
    return rm(this.#folder, { recursive: true, force: true });
  }

  #path(name: string): string {
    return join(this.#folder, name);
  }

  async #openssl(...args: readonly string[]): Promise<void> {
    await run('openssl', [...args]);
  }
}

const NEW_KEY = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-keyout'] as const;
