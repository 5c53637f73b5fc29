import { existsSync } from 'node:fs';
import { APPS, LocalSystem, RedisServer, freePort, type AppName, type LocalApp } from '@segue/local-system';
import { TcpProxy } from './tcp-proxy.js';
import type { Transport } from './plan.js';

const REPLICAS = 2;
/** Sabotage of requests that say so; see there. */
const SABOTAGE = new URL('../../src/chaos/sabotage.mjs', import.meta.url).href;
/** Debian's package faketime. */
const FAKETIME = `/usr/lib/${process.arch === 'arm64' ? 'aarch64' : 'x86_64'}-linux-gnu/faketime/libfaketime.so.1`;
/** This worker's clock is wrong by five minutes. */
const CLOCK_OFF = 'llm-worker-2';
/** Tensors are handed on through proxies at this address, at the ports of their owners. */
const TENSOR_PROXY_HOST = '127.0.0.2';

/**
 * Two of every app, one Redis that keeps its data on disk, and a proxy on each stretch of network between them and to the
 * clients. What ends is started again, as Kubernetes does.
 */
export class Rig {
  readonly redis: RedisServer;
  readonly system: LocalSystem;
  /** Network between an app and Redis, by the app's name. */
  readonly redisLinks: ReadonlyMap<string, TcpProxy>;
  /** Network over which an encoder's tensors are pulled. */
  readonly tensorLinks: readonly TcpProxy[];
  /** Network between clients and gateways. */
  readonly clientLinks: Readonly<Record<Transport, readonly TcpProxy[]>>;
  readonly clockIsOff: boolean;
  /** Processes that ended, and were started again. */
  restarts = 0;
  #stopping = false;
  #broken: Error | undefined;

  private constructor(parts: Pick<Rig, 'redis' | 'system' | 'redisLinks' | 'tensorLinks' | 'clientLinks'>) {
    this.redis = parts.redis;
    this.system = parts.system;
    this.redisLinks = parts.redisLinks;
    this.tensorLinks = parts.tensorLinks;
    this.clientLinks = parts.clientLinks;
    this.clockIsOff = existsSync(FAKETIME);
    for (const app of this.system.apps) this.#watch(app);
  }

  static async start(bundleDir: string, onLine?: (program: string, line: string) => void): Promise<Rig> {
    const redis = await RedisServer.start({ durable: true });
    const names = APPS.flatMap((kind) =>
      Array.from({ length: REPLICAS }, (_, at) => (at ? `${kind}-${at + 1}` : kind)),
    );
    const redisLinks = new Map<string, TcpProxy>();
    const tensorPorts = new Map<string, number>();
    for (const name of names) {
      redisLinks.set(name, await TcpProxy.open({ host: '127.0.0.1', port: redis.port }));
      if (name.startsWith('encoder-worker')) tensorPorts.set(name, await freePort());
    }
    const tensorLinks = await Promise.all(
      [...tensorPorts.values()].map((port) =>
        TcpProxy.open({ host: '127.0.0.1', port }, { host: TENSOR_PROXY_HOST, port }),
      ),
    );
    const system = await LocalSystem.start({
      bundleDir,
      redis: redis.url,
      replicas: Object.fromEntries(APPS.map((kind) => [kind, REPLICAS])),
      env: { SEGUE_LOG_LEVEL: 'warn', SEGUE_RUN_LIMIT_MS: '4000', SEGUE_DRAIN_TIMEOUT_MS: '10000' },
      envOf: (name, kind) => ({
        SEGUE_REDIS_URL: `redis://127.0.0.1:${redisLinks.get(name)?.port}`,
        ...(kind !== 'gateway' && { NODE_OPTIONS: `--import=${SABOTAGE}` }),
        ...(tensorPorts.has(name) && {
          SEGUE_TENSOR_HOST: TENSOR_PROXY_HOST,
          SEGUE_TENSOR_PORT: String(tensorPorts.get(name)),
        }),
        ...(name === CLOCK_OFF &&
          existsSync(FAKETIME) && { LD_PRELOAD: FAKETIME, FAKETIME: '+5m', DONT_FAKE_MONOTONIC: '1' }),
      }),
      ...(onLine && { onLine }),
    }).catch(async (error: unknown) => {
      await redis.stop();
      throw error;
    });
    const gateways = system.apps.filter(({ kind }) => kind === 'gateway');
    const linkTo = (address: string) => TcpProxy.open({ host: '127.0.0.1', port: Number(address.split(':').at(-1)) });
    const clientLinks = {
      http: await Promise.all(gateways.map(({ url }) => linkTo(url))),
      grpc: await Promise.all(gateways.map(({ grpcAddress }) => linkTo(grpcAddress))),
    };
    return new Rig({ redis, system, redisLinks, tensorLinks, clientLinks });
  }

  apps(kind: AppName): LocalApp[] {
    return this.system.apps.filter((app) => app.kind === kind);
  }

  get links(): TcpProxy[] {
    return [...this.redisLinks.values(), ...this.tensorLinks, ...Object.values(this.clientLinks).flat()];
  }

  /** @throws Error when an app could not be started again. */
  check(): void {
    if (this.#broken) throw this.#broken;
  }

  /** Resolves when all apps serve. */
  async allReady(): Promise<void> {
    await Promise.all(this.system.apps.filter(({ ended }) => ended === undefined).map((app) => app.becomesReady()));
    this.check();
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    for (const link of this.links) link.mend();
    // First, so that draining apps find their Redis; their connections end with them.
    await this.system.stop().finally(async () => {
      for (const link of this.links) link.close();
      await this.redis.stop();
    });
  }

  #watch(app: LocalApp): void {
    void app.exited.then(async () => {
      if (this.#stopping) return;
      this.restarts++;
      try {
        const starting = this.system.restart(app.name);
        // It may end again before it serves.
        this.#watch(this.system.app(app.name));
        await starting;
      } catch (error) {
        if (!this.#stopping && this.system.app(app.name).ended === undefined) this.#broken = error as Error;
      }
    });
  }
}
