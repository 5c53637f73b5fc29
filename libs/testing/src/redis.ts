import { spawn, type ChildProcess } from 'node:child_process';
import { access, constants, mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';

import { Redis } from 'ioredis';

export interface TestRedis {
  /** `redis://127.0.0.1:port` */
  readonly url: string;
  /** Process of the server, for tests that pause it. */
  readonly pid: number;
  /** Ends the server and removes its folder. */
  stop(): Promise<void>;
}

export interface StartRedisOptions {
  /** A port that was free a moment ago is taken when absent. Give the port of a server that was stopped to bring it back, empty. */
  readonly port?: number;
}

const SERVERS = ['redis-server', 'valkey-server'];
const START_TIMEOUT_MS = 10_000;

/** Starts a real Redis on a free port, with its data in a temporary folder, configured as Segue needs it. */
export async function startRedis(options: StartRedisOptions = {}): Promise<TestRedis> {
  const server = await findServer();
  const folder = await mkdtemp(join(tmpdir(), 'segue-redis-'));
  const port = options.port ?? (await freePort());
  const settings = {
    port,
    bind: '127.0.0.1',
    dir: folder,
    save: '',
    appendonly: 'no',
    'maxmemory-policy': 'noeviction',
  };
  const child = spawn(
    server,
    Object.entries(settings).flatMap(([name, value]) => [`--${name}`, String(value)]),
    {
      stdio: ['ignore', 'pipe', 'pipe'],
    },
  );
  let output = '';
  child.stdout.on('data', (text: Buffer) => (output += text.toString()));
  child.stderr.on('data', (text: Buffer) => (output += text.toString()));
  // A test that dies without stopping it must not leave it behind.
  const kill = () => child.kill('SIGKILL');
  process.once('exit', kill);
  const stop = async () => {
    process.off('exit', kill);
    await end(child);
    await rm(folder, { recursive: true, force: true });
  };
  const url = `redis://127.0.0.1:${port}`;
  try {
    await answering(url, child);
  } catch (cause) {
    await stop();
    throw new Error(`${server} did not start: ${output}`, { cause });
  }
  return { url, pid: child.pid ?? 0, stop };
}

async function findServer(): Promise<string> {
  for (const name of SERVERS) {
    for (const folder of (process.env.PATH ?? '').split(delimiter)) {
      const path = join(folder, name);
      if (
        await access(path, constants.X_OK).then(
          () => true,
          () => false,
        )
      )
        return path;
    }
  }
  throw new Error(
    `Tests need a real Redis, but neither ${SERVERS.join(' nor ')} is on the PATH. ` +
      'Install one, e.g. `apt-get install redis-server` or `brew install redis`.',
  );
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer().once('error', reject);
    probe.listen(0, '127.0.0.1', () => {
      const address = probe.address();
      probe.close(() => resolve(typeof address === 'object' && address ? address.port : 0));
    });
  });
}

async function answering(url: string, child: ChildProcess): Promise<void> {
  const redis = new Redis(url, { maxRetriesPerRequest: null, retryStrategy: () => 20 });
  redis.on('error', () => undefined); // Refused until the server listens.
  const gone = new Promise<never>((_, reject) => {
    child.once('error', reject);
    child.once('exit', (code) => reject(new Error(`exited with status ${code}`)));
  });
  const late = new Promise<never>((_, reject) =>
    setTimeout(() => reject(new Error('no answer in time')), START_TIMEOUT_MS).unref(),
  );
  try {
    await Promise.race([redis.ping(), gone, late]);
  } finally {
    redis.disconnect();
    gone.catch(() => undefined);
    late.catch(() => undefined);
  }
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return;
  const exited = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGKILL');
  await exited;
}
