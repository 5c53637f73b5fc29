import { setTimeout as sleep } from 'node:timers/promises';
import type { Type } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import type { FastifyServerOptions } from 'fastify';
import { Lifecycle } from './lifecycle.js';
import { createLogger, NestLogger, type Logger } from './logging.js';
import { createMetrics } from './metrics.js';
import { ServiceModule } from './service.module.js';

/** The settings that the kit itself reads; `serviceSettings()` declares them. */
export interface ServiceConfig {
  readonly host: string;
  readonly httpPort: number;
  readonly logLevel: string;
  readonly logFormat: 'json' | 'pretty';
  readonly drainTimeoutMs: number;
}

/** Share of `graceMs` that `stop` gives what is in hand; the rest is for closing sessions, connections and HTTP. */
export const DRAIN_SHARE = 0.7;

export interface ServiceOptions {
  /** Name of the app in logs and metrics. */
  readonly name: string;
  /** The app's Nest module. It can inject `CONFIG`, `LOGGER`, `Lifecycle` and prom-client's `Registry`. */
  readonly module: Type;
  /** Options of the HTTP server. */
  readonly fastify?: FastifyServerOptions;
  /** Adds to the HTTP application before it listens. */
  readonly configure?: (app: NestFastifyApplication) => Promise<void> | void;
  /** Loads and warms up; the service is ready when it returns. Health is served meanwhile. */
  readonly start: (app: NestFastifyApplication) => Promise<void>;
  /**
   * Takes no more work and finishes or hands back what is held, within `graceMs`. HTTP closes afterwards. Also called
   * when the process is told to stop while `start` still runs, or when `start` failed.
   */
  readonly stop: (app: NestFastifyApplication, graceMs: number) => Promise<void>;
}

/** One app in this process: wired by `create`, ready after `start`, gone after `close`. `runService` ties it to the process. */
export class Service {
  readonly #options: ServiceOptions & { readonly config: ServiceConfig };
  #listening: Promise<string> | undefined;
  #closing: Promise<boolean> | undefined;

  private constructor(
    options: ServiceOptions & { readonly config: ServiceConfig },
    readonly app: NestFastifyApplication,
    readonly logger: Logger,
    readonly lifecycle: Lifecycle,
  ) {
    this.#options = options;
  }

  static async create(options: ServiceOptions & { readonly config: ServiceConfig }): Promise<Service> {
    const { name, config } = options;
    const lifecycle = new Lifecycle();
    const logger = createLogger({ name, level: config.logLevel, format: config.logFormat });
    const metrics = createMetrics(name, lifecycle);
    lifecycle.onChange((state) => logger.info({ state }, state));
    const app = await NestFactory.create<NestFastifyApplication>(
      ServiceModule.with({ config, logger, lifecycle, metrics }, options.module),
      new FastifyAdapter(options.fastify),
      // Fastify's own JSON parser is enough; Nest would add one for forms in URL encoding.
      { logger: new NestLogger(logger), abortOnError: false, bodyParser: false },
    );
    // A kept-alive connection would outlive its last answer and hold up the end.
    app
      .getHttpAdapter()
      .getInstance()
      .addHook('onSend', async (_request, reply) => {
        if (lifecycle.state === 'draining') void reply.header('connection', 'close');
      });
    return new Service(options, app, logger, lifecycle);
  }

  /** Serves health at once, warms up, and returns the HTTP address when ready. */
  async start(): Promise<string> {
    this.#listening = this.#listen();
    const url = await this.#listening;
    const { start } = this.#options;
    // Each step only if `close` was not called meanwhile.
    if (this.lifecycle.state === 'starting') this.lifecycle.to('warming');
    if (this.lifecycle.state === 'warming') await start(this.app);
    if (this.lifecycle.state === 'warming') this.lifecycle.to('ready');
    return url;
  }

  async #listen(): Promise<string> {
    const { config, configure } = this.#options;
    await configure?.(this.app);
    await this.app.listen(config.httpPort, config.host);
    const url = await this.app.getUrl();
    this.logger.info({ url }, 'listening for HTTP');
    return url;
  }

  /** Drains and closes; false when `drainTimeoutMs` passed before all was done. Further calls wait for the first. */
  close(): Promise<boolean> {
    return (this.#closing ??= this.#drain());
  }

  async #drain(): Promise<boolean> {
    const { config, stop } = this.#options;
    this.lifecycle.to('draining');
    const done = new AbortController();
    const limit = sleep(config.drainTimeoutMs, false, { signal: done.signal });
    const work = stop(this.app, config.drainTimeoutMs)
      .finally(() => Promise.allSettled([this.#listening])) // Fastify never ends a close that overtakes its listen
      .finally(() => this.app.close())
      .then(() => true);
    try {
      return await Promise.race([work, limit]);
    } finally {
      limit.catch(() => undefined); // aborted on purpose
      done.abort();
      this.lifecycle.to('stopped');
    }
  }
}
