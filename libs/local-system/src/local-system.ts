import { basename, dirname } from 'node:path';
import freePort from 'get-port';
import { LocalApp, type LocalAppOptions } from './local-app.js';
import type { Program } from './program.js';
import { RedisServer, type RedisServerOptions } from './redis-server.js';

/** The four apps, in the order in which a person thinks of them. */
export const APPS = ['gateway', 'encoder-worker', 'llm-worker', 'decoder-worker'] as const;
export type AppName = (typeof APPS)[number];

export interface LocalSystemOptions {
  /** Folder of the bundle that is served. */
  readonly bundleDir: string;
  /** How many of each app run; one unless given. */
  readonly replicas?: Readonly<Partial<Record<AppName, number>>>;
  /** A Redis that runs already (URL), or how ours is started. */
  readonly redis?: string | RedisServerOptions;
  /** Settings for all apps. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Settings of one app, which go before those for all. */
  readonly envOf?: (name: string, kind: AppName) => Readonly<Record<string, string | undefined>>;
  /** Further options for Node.js, such as those of its profiler. */
  readonly nodeArguments?: (name: string) => readonly string[];
  /** Ports of the first gateway; free ones unless given. */
  readonly httpPort?: number;
  readonly grpcPort?: number;
  /** Ends the start that is under way; nothing is left running then. */
  readonly signal?: AbortSignal;
  /** Gets each line that a program writes. */
  readonly onLine?: (program: string, line: string) => void;
}

type Ports = Pick<LocalAppOptions, 'httpPort' | 'grpcPort' | 'adminPort'>;

const STOP_TIMEOUT_MS = 30_000;

/** The whole service as processes of this machine, on free ports of its loopback. */
export class LocalSystem {
  /** The Redis that was started for it; undefined where one was given. */
  readonly redis: RedisServer | undefined;
  readonly redisUrl: string;
  readonly #options: LocalSystemOptions;
  readonly #apps = new Map<string, LocalApp>();
  readonly #names = new Set<string>();
  #stopping: Promise<void> | undefined;

  private constructor(options: LocalSystemOptions, redis: string | RedisServer) {
    this.#options = options;
    this.redis = typeof redis === 'string' ? undefined : redis;
    this.redisUrl = typeof redis === 'string' ? redis : redis.url;
  }

  /**
   * Starts Redis and the apps and waits until all serve.
   * @throws Error with the output of the first that failed; nothing is left running then.
   */
  static async start(options: LocalSystemOptions): Promise<LocalSystem> {
    const onLine = options.onLine && ((line: string) => options.onLine?.('redis', line));
    const given = options.redis ?? {};
    const redis = typeof given === 'string' ? given : await RedisServer.start({ onLine, ...given });
    const system = new LocalSystem(options, redis);
    const end = () => void system.kill();
    options.signal?.addEventListener('abort', end);
    try {
      options.signal?.throwIfAborted();
      const counts = APPS.map((kind) => ({ kind, replicas: options.replicas?.[kind] ?? 1 }));
      const started = counts.flatMap(({ kind, replicas }) => Array.from({ length: replicas }, () => system.add(kind)));
      // All are waited for, so that none is left behind when another one fails.
      for (const result of await Promise.allSettled(started)) if (result.status === 'rejected') throw result.reason;
    } catch (error) {
      await system.kill();
      throw error;
    } finally {
      options.signal?.removeEventListener('abort', end);
    }
    return system;
  }

  get apps(): readonly LocalApp[] {
    return [...this.#apps.values()];
  }

  /** Every program of the system, Redis included where it is ours. */
  get programs(): readonly Program[] {
    return this.redis ? [...this.apps, this.redis.program] : this.apps;
  }

  /** The app of this name: that of its kind, or `kind-2` and so on where there are several. */
  app(name: string): LocalApp {
    const app = this.#apps.get(name);
    if (!app) throw new Error(`${name} is not there; there are ${[...this.#apps.keys()].join(', ')}.`);
    return app;
  }

  /** Starts one more of a kind and waits until it serves. */
  async add(kind: AppName): Promise<LocalApp> {
    let number = 1;
    const nameOf = () => (number === 1 ? kind : `${kind}-${number}`);
    while (this.#names.has(nameOf())) number += 1;
    const name = nameOf();
    this.#names.add(name);
    const { httpPort, grpcPort } = this.#options;
    const port = async (wanted?: number) => (name === 'gateway' && wanted ? wanted : freePort());
    return this.#start(name, kind, {
      httpPort: await port(httpPort),
      grpcPort: await port(grpcPort),
      adminPort: await port(),
    });
  }

  /** Starts an app that has ended again, at the addresses it had, and waits until it serves. */
  async restart(name: string): Promise<LocalApp> {
    const { kind, url, adminUrl, grpcAddress } = this.app(name);
    const portOf = (address: string) => Number(address.split(':').at(-1));
    const ports = { httpPort: portOf(url), grpcPort: portOf(grpcAddress), adminPort: portOf(adminUrl) };
    return this.#start(name, kind, ports);
  }

  /** Stops one for good. */
  async remove(name: string): Promise<void> {
    await this.app(name).stop();
    this.#apps.delete(name);
    this.#names.delete(name);
  }

  /** Settles with the first program that ends. */
  firstEnded(): Promise<Program> {
    return Promise.race(this.programs.map((program) => program.exited.then(() => program)));
  }

  /** Stops the apps as Kubernetes does, then Redis: draining apps hand back what they hold. */
  stop(graceMs = STOP_TIMEOUT_MS): Promise<void> {
    this.#stopping ??= this.#stop(graceMs);
    return this.#stopping;
  }

  /** Ends everything at once. */
  async kill(): Promise<void> {
    await Promise.all(this.apps.map((app) => app.kill()));
    await this.redis?.stop();
  }

  async #stop(graceMs: number): Promise<void> {
    const stopped = await Promise.allSettled(this.apps.map((app) => app.stop(graceMs)));
    await this.redis?.stop();
    for (const result of stopped) if (result.status === 'rejected') throw result.reason;
  }

  async #start(name: string, kind: AppName, ports: Ports): Promise<LocalApp> {
    if (this.#stopping) throw new Error(`${name} is not started: the system is being stopped.`);
    const { bundleDir, env, envOf, nodeArguments, onLine } = this.#options;
    const app = new LocalApp({
      name,
      kind,
      ...ports,
      env: {
        PATH: process.env['PATH'],
        SEGUE_HOST: '127.0.0.1',
        SEGUE_REDIS_URL: this.redisUrl,
        SEGUE_MODELS_DIR: dirname(bundleDir),
        SEGUE_MODEL: basename(bundleDir),
        SEGUE_TENSOR_HOST: '127.0.0.1',
        SEGUE_TENSOR_PORT: '0',
        ...env,
        ...envOf?.(name, kind),
      },
      nodeArguments: nodeArguments?.(name),
      onLine: onLine && ((line) => onLine(name, line)),
    });
    this.#apps.set(name, app);
    await app.becomesReady();
    return app;
  }
}
