import { mkdtemp, readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import freePort from 'get-port';
import { Redis } from 'ioredis';
import { findProgram } from './find-program.js';
import { Program } from './program.js';
import { TemporaryServer } from './temporary-server.js';

export interface RedisServerOptions {
  /** A free port is taken when absent. Give the port of a server that was stopped to bring it back, empty. */
  readonly port?: number;
  /** Writes are kept on disk, so that {@link RedisServer.restart} finds them again (Redis's append-only file). */
  readonly durable?: boolean;
  /** Port of the server of this machine that it copies. */
  readonly replicaOf?: number;
  /** Speaks TLS alone, to clients with a certificate of the CA. PEM files. */
  readonly tls?: { readonly certFile: string; readonly keyFile: string; readonly caFile: string };
  /** Is a node of a cluster that speaks to its other nodes at this port; {@link RedisCluster} makes one of several. */
  readonly clusterPort?: number;
  readonly onLine?: ((line: string) => void) | undefined;
}

const SERVERS = ['redis-server', 'valkey-server'];

/** A real Redis with its data in a temporary folder, configured as Segue needs it: it evicts nothing. */
export class RedisServer extends TemporaryServer {
  readonly #options: RedisServerOptions;

  private constructor(folder: string, port: number, options: RedisServerOptions) {
    super(folder, port);
    this.#options = options;
  }

  /** @throws Error that says what to install when this machine has no Redis. */
  static async start(options: RedisServerOptions = {}): Promise<RedisServer> {
    findRedis();
    const folder = await mkdtemp(join(tmpdir(), 'segue-redis-'));
    return new RedisServer(folder, options.port ?? (await freePort()), options).begin();
  }

  /** `redis://127.0.0.1:port`, or `rediss://` with TLS. */
  get url(): string {
    return `${this.#options.tls ? 'rediss' : 'redis'}://127.0.0.1:${this.port}`;
  }

  get tls(): RedisServerOptions['tls'] {
    return this.#options.tls;
  }

  /**
   * As if its disk were full: what it writes there fails, and it refuses writes as it then does (MISCONF). Only for one that is durable.
   * Linux with util-linux.
   */
  async fillDisk(): Promise<void> {
    await this.#limitFiles('0');
  }

  async freeDisk(): Promise<void> {
    await this.#limitFiles('unlimited');
  }

  async #limitFiles(bytes: string): Promise<void> {
    // The soft limit alone, which may be raised again.
    await execa('prlimit', ['--pid', String(this.program.pid), `--fsize=${bytes}:`]);
  }

  protected override run(): Program {
    const { replicaOf, tls, clusterPort } = this.#options;
    const settings = {
      ...(tls
        ? {
            port: 0,
            'tls-port': this.port,
            'tls-cert-file': tls.certFile,
            'tls-key-file': tls.keyFile,
            'tls-ca-cert-file': tls.caFile,
          }
        : { port: this.port }),
      bind: '127.0.0.1',
      dir: this.folder,
      save: '',
      loglevel: 'warning',
      appendonly: this.#options.durable ? 'yes' : 'no',
      'maxmemory-policy': 'noeviction',
      ...(replicaOf !== undefined && { replicaof: `127.0.0.1 ${replicaOf}` }),
      ...(clusterPort !== undefined && {
        'cluster-enabled': 'yes',
        'cluster-port': clusterPort,
        'cluster-announce-ip': '127.0.0.1',
        'cluster-node-timeout': 1_000, // the shorter, the sooner they have met
        'repl-diskless-sync-delay': 0,
        'repl-ping-replica-period': 1, // one that has copied nothing yet is not listed
        ...(tls && { 'tls-cluster': 'yes', 'tls-replication': 'yes' }),
      }),
    };
    const args = Object.entries(settings).flatMap(([name, value]) => [`--${name}`, String(value)]);
    // The signal of a limit on files would end Redis, where a full disk does not.
    const command = ['/bin/sh', '-c', 'trap "" XFSZ; exec "$0" "$@"', findRedis(), ...args] as const;
    return new Program({ name: 'redis', command, env: {}, onLine: this.#options.onLine });
  }

  protected override async answers(): Promise<boolean> {
    const redis = await connectTo(this);
    try {
      return (await redis.ping()) === 'PONG';
    } catch {
      return false; // not listening yet, or still loading its data
    } finally {
      redis.disconnect();
    }
  }
}

/** A connection for one question, which is not made again. */
export async function connectTo({ url, tls }: Pick<RedisServer, 'url' | 'tls'>): Promise<Redis> {
  const files = tls && (await Promise.all([tls.certFile, tls.keyFile, tls.caFile].map((path) => readFile(path))));
  const security = files && { tls: { cert: files[0], key: files[1], ca: files[2] } };
  const redis = new Redis(url, { lazyConnect: true, retryStrategy: () => null, connectTimeout: 1_000, ...security });
  redis.on('error', () => undefined); // its commands fail
  return redis;
}

/**
 * Path of a Redis server program of this machine.
 * @throws Error that says what to install.
 */
export function findRedis(): string {
  const found = findProgram(SERVERS);
  if (found !== undefined) return found;
  throw new Error(
    `Segue needs a Redis, but neither ${SERVERS.join(' nor ')} is on the PATH. ` +
      'Install one (Debian: sudo apt-get install redis-server; macOS: brew install redis), or set REDIS_URL to a running one.',
  );
}
