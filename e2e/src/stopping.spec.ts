import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { RedisServer } from '@segue/local-system';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const WORKERS = ['encoder-worker', 'llm-worker', 'decoder-worker'];
/** Nobody listens there. */
const NO_REDIS = 'redis://127.0.0.1:1';

/** An app, its log, and how it ended. */
class App {
  readonly lines: string[] = [];
  readonly #process: ChildProcess;
  readonly #exited: Promise<unknown[]>;

  constructor(name: string, redisUrl: string) {
    this.#process = spawn(process.execPath, [`apps/${name}/dist/main.js`], {
      cwd: ROOT,
      env: {
        PATH: process.env['PATH'] ?? '',
        SEGUE_HOST: '127.0.0.1',
        SEGUE_HTTP_PORT: '0',
        SEGUE_GRPC_PORT: '0',
        SEGUE_ADMIN_PORT: '0',
        SEGUE_TENSOR_PORT: '0',
        SEGUE_REDIS_URL: redisUrl,
        SEGUE_LOG_FORMAT: 'json',
      },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    this.#exited = once(this.#process, 'exit');
    createInterface(this.#process.stdout!).on('line', (line) => this.lines.push(line));
  }

  async says(text: string): Promise<void> {
    await vi.waitUntil(() => this.lines.some((line) => line.includes(text)), { timeout: 60_000 });
  }

  /** Sends SIGTERM; 0 is a clean exit, within the time for draining. */
  async stop(): Promise<unknown> {
    this.#process.kill('SIGTERM');
    const [code, signal] = await this.#exited;
    return signal ?? code;
  }

  kill(): void {
    this.#process.kill('SIGKILL');
  }
}

describe('SIGTERM ends an app cleanly', () => {
  let redis: RedisServer;
  let app: App | undefined;
  beforeEach(async () => {
    redis = await RedisServer.start();
  });
  afterEach(async () => {
    app?.kill();
    await redis.stop();
  });

  // At once the graphs are being loaded; later those that are small are there, and their worker waits for Redis.
  it.each(WORKERS.flatMap((name) => [0, 1_000].map((afterMs) => ({ name, afterMs }))))(
    '$name $afterMs ms after it has begun to load its model, with Redis away',
    async ({ name, afterMs }) => {
      app = new App(name, NO_REDIS);
      await app.says('bundle verified');
      await sleep(afterMs);
      expect(await app.stop(), app.lines.join('\n')).toBe(0);
      expect(app.lines.join('\n')).not.toContain('"state":"ready"');
    },
  );

  it.each(['gateway', ...WORKERS])('%s when it was ready and Redis went away', async (name) => {
    app = new App(name, redis.url);
    await app.says('"state":"ready"');
    await redis.stop();
    await app.says('Redis is away');
    expect(await app.stop(), app.lines.join('\n')).toBe(0);
  });
});
