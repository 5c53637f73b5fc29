import { mkdir, mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import freePort from 'get-port';
import { findProgram } from './find-program.js';
import { Program } from './program.js';
import { TemporaryServer } from './temporary-server.js';

const SERVER = 'versitygw';
const BUCKET = 'pictures';
const REGION = 'us-east-1';
const CREDENTIALS = { AWS_ACCESS_KEY_ID: 'segue', AWS_SECRET_ACCESS_KEY: 'segue-of-tests' };

/** A real server of S3's protocol (Versity's gateway) with one bucket, over a temporary folder. */
export class S3Server extends TemporaryServer {
  /** Where the bucket's objects lie as files. */
  readonly bucketFolder: string;

  private constructor(folder: string, port: number) {
    super(folder, port);
    this.bucketFolder = join(folder, 'buckets', BUCKET);
  }

  /** Whether this machine has the program. */
  static get isInstalled(): boolean {
    return findProgram([SERVER]) !== undefined;
  }

  static async start(): Promise<S3Server> {
    const folder = await mkdtemp(join(tmpdir(), 'segue-s3-'));
    await mkdir(join(folder, 'buckets', BUCKET), { recursive: true });
    await mkdir(join(folder, 'metadata'));
    return new S3Server(folder, await freePort()).begin();
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  /** The bucket as SEGUE_PICTURE_STORE. */
  address(prefix = 'segue', { bucket = BUCKET, url = this.url } = {}): string {
    return `s3://${bucket}/${prefix}?endpoint=${url}&region=${REGION}`;
  }

  /** The credentials, as the environment holds them. */
  get env(): Readonly<typeof CREDENTIALS> {
    return CREDENTIALS;
  }

  protected override run(): Program {
    const { AWS_ACCESS_KEY_ID: access, AWS_SECRET_ACCESS_KEY: secret } = CREDENTIALS;
    const options = { access, secret, region: REGION, port: `127.0.0.1:${this.port}` };
    const args = Object.entries(options).flatMap(([name, value]) => [`--${name}`, value]);
    // Beside the files, because not every file system has extended attributes.
    const files = ['posix', '--sidecar', join(this.folder, 'metadata'), join(this.folder, 'buckets')];
    return new Program({ name: SERVER, command: [findProgram([SERVER]) ?? SERVER, ...args, ...files], env: {} });
  }

  /** Anything at all: who shows no credentials is refused. */
  protected override async answers(): Promise<boolean> {
    try {
      await fetch(this.url, { signal: AbortSignal.timeout(2_000) });
      return true;
    } catch {
      return false; // nobody listens yet
    }
  }
}
