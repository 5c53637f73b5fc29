import { join } from 'node:path';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { AppName } from './local-system.js';
import { Program } from './program.js';

export interface LocalAppOptions {
  /** Tells it from others of its kind: `llm-worker-2`. */
  readonly name: string;
  readonly kind: AppName;
  /** Port of health, and at the gateway of the public interface. */
  readonly httpPort: number;
  /** Port of the gateway's public interface over gRPC. */
  readonly grpcPort: number;
  /** Port of what operators ask the gateway for; workers have that at `httpPort`. */
  readonly adminPort: number;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Further options for Node.js, such as those of its profiler. */
  readonly nodeArguments?: readonly string[] | undefined;
  readonly onLine?: ((line: string) => void) | undefined;
}

const ROOT = fileURLToPath(new URL('../../..', import.meta.url));

/** One of the four apps as a process of its own, built as it is shipped. */
export class LocalApp extends Program {
  readonly kind: AppName;
  readonly url: string;
  /** Metrics, and at the gateway what else operators ask for. */
  readonly adminUrl: string;
  /** host:port */
  readonly grpcAddress: string;

  /** Starts it; {@link becomesReady} tells when it serves. */
  constructor({ name, kind, httpPort, grpcPort, adminPort, env, nodeArguments = [], onLine }: LocalAppOptions) {
    const main = join(ROOT, 'apps', kind, 'dist/main.js');
    if (!existsSync(main)) throw new Error(`${main} does not exist: build the workspace first (npm run build).`);
    super({
      name,
      command: [process.execPath, '--enable-source-maps', ...nodeArguments, main],
      env: {
        ...env,
        SEGUE_HTTP_PORT: String(httpPort),
        SEGUE_GRPC_PORT: String(grpcPort),
        SEGUE_ADMIN_PORT: String(adminPort),
      },
      onLine,
    });
    this.kind = kind;
    this.url = `http://127.0.0.1:${httpPort}`;
    this.adminUrl = kind === 'gateway' ? `http://127.0.0.1:${adminPort}` : this.url;
    this.grpcAddress = `127.0.0.1:${grpcPort}`;
  }

  /** Waits until the app serves. */
  becomesReady(): Promise<void> {
    return this.ready(`${this.url}/healthz/ready`);
  }

  /** The sum of a metric over its label sets that hold all of `labels`; 0 when it has none. */
  async metric(name: string, labels: Readonly<Record<string, string>> = {}): Promise<number> {
    const text = await (await fetch(`${this.adminUrl}/metrics`)).text();
    return text
      .split('\n')
      .filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `))
      .filter((line) => Object.entries(labels).every(([label, value]) => line.includes(`${label}="${value}"`)))
      .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' ') + 1)), 0);
  }
}
