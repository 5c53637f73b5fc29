import { SegueClient } from '@segue/client';
import { LocalSystem, type LocalApp, type LocalSystemOptions } from '@segue/local-system';
import { connectOverGrpc, TINY_BUNDLE_DIR, type GrpcClient } from '@segue/testing';

export type SystemOptions = Partial<LocalSystemOptions>;

/** The whole service on this machine, and clients of its first gateway. */
export class System {
  readonly httpUrl: string;
  /** Over HTTP. */
  readonly client: SegueClient;
  readonly grpc: GrpcClient;
  readonly #local: LocalSystem;

  private constructor(local: LocalSystem) {
    const gateway = local.app('gateway');
    this.#local = local;
    this.httpUrl = gateway.url;
    this.client = new SegueClient({ baseUrl: gateway.url });
    this.grpc = connectOverGrpc(gateway.grpcAddress);
  }

  /** One of each app, with the tiny random bundle unless another is given. */
  static async start(options: SystemOptions = {}): Promise<System> {
    return new System(await LocalSystem.start({ bundleDir: TINY_BUNDLE_DIR, ...options }));
  }

  get redisUrl(): string {
    return this.#local.redisUrl;
  }

  app(name: string): LocalApp {
    return this.#local.app(name);
  }

  restart(name: string): Promise<LocalApp> {
    return this.#local.restart(name);
  }

  stop(): Promise<void> {
    return this.#local.stop();
  }
}
