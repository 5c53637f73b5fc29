import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import freePort from 'get-port';
import { findProgram } from './find-program.js';
import { Program } from './program.js';

const SERVER = 'versitygw';
const BUCKET = 'pictures';
const REGION = 'us-east-1';
const CREDENTIALS = { AWS_ACCESS_KEY_ID: 'segue', AWS_SECRET_ACCESS_KEY: 'segue-of-tests' };
const START_TIMEOUT_MS = 30_000;

/** A real server of S3's protocol (Versity's gateway) with one bucket, over a temporary folder. */
export class S3Server {
  readonly port: number;
  /** Where the bucket's objects lie as files. */
  readonly bucketFolder: string;
  readonly #folder: string;
  #program: Program;

  private constructor(folder: string, port: number) {
    this.port = port;
    this.#folder = folder;
    this.bucketFolder = join(folder, 'buckets', BUCKET);
    this.#program = this.#run();
  }

  /** Whether this machine has the program. */
  static get isInstalled(): boolean {
    return findProgram([SERVER]) !== undefined;
  }

  static async start(): Promise<S3Server> {
    const folder = await mkdtemp(join(tmpdir(), 'segue-s3-'));
    await mkdir(join(folder, 'buckets', BUCKET), { recursive: true });
    await mkdir(join(folder, 'metadata'));
    const server = new S3Server(folder, await freePort());
    try {
      await server.#serves();
    } catch (error) {
      await server.stop();
      throw error;
    }
    return server;
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

  get program(): Program {
    return this.#program;
  }

  /** Ends the server as a crash does. */
  async kill(): Promise<void> {
    await this.#program.kill();
  }

  /** Ends the server as a crash does, and starts it again after `downMs` with what it has written to its disk. */
  async restart(downMs = 0): Promise<void> {
    await this.#program.kill();
    await sleep(downMs);
    this.#program = this.#run();
    await this.#serves();
  }

  /** Ends the server and removes its folder. */
  async stop(): Promise<void> {
    await this.#program.kill();
    await rm(this.#folder, { recursive: true, force: true });
  }

  #run(): Program {
    const { AWS_ACCESS_KEY_ID: access, AWS_SECRET_ACCESS_KEY: secret } = CREDENTIALS;
    const options = { access, secret, region: REGION, port: `127.0.0.1:${this.port}` };
    const args = Object.entries(options).flatMap(([name, value]) => [`--${name}`, value]);
    // Beside the files, because not every file system has extended attributes.
    const files = ['posix', '--sidecar', join(this.#folder, 'metadata'), join(this.#folder, 'buckets')];
    return new Program({ name: SERVER, command: [findProgram([SERVER]) ?? SERVER, ...args, ...files], env: {} });
  }

  #serves(): Promise<void> {
    return this.#program.serves(() => answers(this.url), START_TIMEOUT_MS);
  }
}

/** Anything at all: who shows no credentials is refused. */
async function answers(url: string): Promise<boolean> {
  try {
    await fetch(url, { signal: AbortSignal.timeout(2_000) });
    return true;
  } catch {
    return false; // nobody listens yet
  }
}
