import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { SegueClient } from '@segue/client';
import { connectOverGrpc, startRedis, TINY_BUNDLE_DIR, type GrpcClient, type TestRedis } from '@segue/testing';

export type AppName = 'gateway' | 'encoder-worker' | 'llm-worker' | 'decoder-worker';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const APPS: readonly AppName[] = ['encoder-worker', 'llm-worker', 'decoder-worker', 'gateway'];
const READY_TIMEOUT_MS = 120_000;
const STOP_TIMEOUT_MS = 20_000;

/** One of the four apps as a process of its own, built as it is shipped. */
export class AppProcess {
  #output = '';

  private constructor(
    readonly name: AppName,
    /** Health and metrics, and at the gateway the public interface. */
    readonly url: string,
    private readonly child: ChildProcess,
  ) {
    for (const stream of [child.stdout, child.stderr])
      stream?.on('data', (data: Buffer) => (this.#output += data.toString()));
  }

  /** Starts the app and waits until it is ready. */
  static async start(name: AppName, env: Readonly<Record<string, string>>): Promise<AppProcess> {
    const main = join(ROOT, 'apps', name, 'dist/main.js');
    if (!existsSync(main)) throw new Error(`${main} does not exist: build the workspace first (npm run build)`);
    const port = await freePort();
    const child = spawn(process.execPath, ['--enable-source-maps', main], {
      env: { PATH: process.env['PATH'] ?? '', SEGUE_HOST: '127.0.0.1', ...env, SEGUE_HTTP_PORT: String(port) },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const app = new AppProcess(name, `http://127.0.0.1:${port}`, child);
    try {
      await app.#becomesReady();
    } catch (error) {
      await app.kill();
      throw error;
    }
    return app;
  }

  get output(): string {
    return this.#output;
  }

  /** Sends a signal: SIGKILL for a crash, SIGSTOP and SIGCONT for a worker that hangs for a while. */
  signal(signal: NodeJS.Signals): void {
    this.child.kill(signal);
  }

  async kill(): Promise<void> {
    if (this.#ended) return;
    this.child.kill('SIGKILL');
    await once(this.child, 'exit');
  }

  /** Stops it as Kubernetes does; its exit status. */
  async stop(): Promise<number | null> {
    if (this.#ended) return this.child.exitCode;
    this.child.kill('SIGTERM');
    const late = sleep(STOP_TIMEOUT_MS, 'late', { ref: false });
    if ((await Promise.race([once(this.child, 'exit'), late])) === 'late') {
      await this.kill();
      throw new Error(`${this.name} did not stop within ${STOP_TIMEOUT_MS / 1000} s:\n${this.#output}`);
    }
    return this.child.exitCode;
  }

  /** The sum of a metric over its label sets that hold all of `labels`; 0 when it has none. */
  async metric(name: string, labels: Readonly<Record<string, string>> = {}): Promise<number> {
    const text = await (await fetch(`${this.url}/metrics`)).text();
    return text
      .split('\n')
      .filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `))
      .filter((line) => Object.entries(labels).every(([label, value]) => line.includes(`${label}="${value}"`)))
      .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' ') + 1)), 0);
  }

  get #ended(): boolean {
    return this.child.exitCode !== null || this.child.signalCode !== null;
  }

  async #becomesReady(): Promise<void> {
    const deadline = Date.now() + READY_TIMEOUT_MS;
    while (!(await this.#isReady())) {
      if (this.#ended) throw new Error(`${this.name} ended before it was ready:\n${this.#output}`);
      if (Date.now() > deadline) throw new Error(`${this.name} was not ready in time:\n${this.#output}`);
      await sleep(50);
    }
  }

  async #isReady(): Promise<boolean> {
    try {
      return (await fetch(`${this.url}/healthz/ready`)).ok;
    } catch {
      return false; // not listening yet
    }
  }
}

export interface SystemOptions {
  /** Folder of the bundle that is served; the tiny random one unless given. */
  readonly bundleDir?: string;
  readonly env?: Readonly<Record<string, string>>;
}

/** The whole service on this machine: a Redis of its own and the four apps. */
export class System {
  readonly apps = new Map<AppName, AppProcess>();
  readonly grpc: GrpcClient;

  private constructor(
    readonly redis: TestRedis,
    readonly grpcAddress: string,
    private readonly env: Readonly<Record<string, string>>,
  ) {
    this.grpc = connectOverGrpc(grpcAddress);
  }

  static async start({ bundleDir = TINY_BUNDLE_DIR, env = {} }: SystemOptions = {}): Promise<System> {
    const redis = await startRedis();
    const grpcPort = await freePort();
    const system = new System(redis, `127.0.0.1:${grpcPort}`, {
      SEGUE_REDIS_URL: redis.url,
      SEGUE_MODELS_DIR: join(bundleDir, '..'),
      SEGUE_MODEL: bundleDir.slice(bundleDir.lastIndexOf('/') + 1),
      SEGUE_GRPC_PORT: String(grpcPort),
      SEGUE_TENSOR_PORT: '0',
      SEGUE_LOG_LEVEL: 'info',
      ...env,
    });
    try {
      // All are waited for, so that none is left behind when another one fails.
      const started = await Promise.allSettled(APPS.map((name) => system.startApp(name)));
      for (const result of started) if (result.status === 'rejected') throw result.reason;
    } catch (error) {
      await system.stop();
      throw error;
    }
    return system;
  }

  get httpUrl(): string {
    return this.app('gateway').url;
  }

  /** Over HTTP. */
  get client(): SegueClient {
    return new SegueClient({ baseUrl: this.httpUrl });
  }

  app(name: AppName): AppProcess {
    const app = this.apps.get(name);
    if (!app) throw new Error(`${name} is not running`);
    return app;
  }

  /** Starts an app, in place of the one that had this name. */
  async startApp(name: AppName): Promise<AppProcess> {
    const app = await AppProcess.start(name, this.env);
    this.apps.set(name, app);
    return app;
  }

  async stop(): Promise<void> {
    const stopped = await Promise.allSettled([...this.apps.values()].map((app) => app.stop()));
    await this.redis.stop();
    for (const result of stopped) if (result.status === 'rejected') throw result.reason;
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}
