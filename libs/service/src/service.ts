import type { Server } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import type { DynamicModule, Type } from '@nestjs/common';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import type { FastifyServerOptions } from 'fastify';
import type { Registry } from 'prom-client';
import { createHttp } from './create-http.js';
import { Lifecycle } from './lifecycle.js';
import { createLogger, type Logger } from './logging.js';
import { createMetrics } from './metrics.js';
import { ServiceModule } from './service.module.js';
import type { Tracing } from './tracing.js';
import { watchUnusedConnections } from './unused-connections.js';

/** The settings that the kit itself reads; `serviceSettings()` declares them. */
export interface ServiceConfig {
  readonly host: string;
  readonly httpPort: number;
  /** Of an app that has `admin`. */
  readonly adminPort?: number;
  readonly logLevel: string;
  readonly logFormat: 'json' | 'pretty';
  readonly tracesUrl: string;
  readonly traceShare: number;
  readonly drainTimeoutMs: number;
}

/** What an app is made from. */
export interface ServiceContext<C extends ServiceConfig = ServiceConfig> {
  readonly config: C;
  readonly logger: Logger;
  readonly lifecycle: Lifecycle;
  readonly metrics: Registry;
}

/** Share of `graceMs` that `stop` gives what is in hand; the rest is for closing sessions, connections and HTTP. */
export const DRAIN_SHARE = 0.7;

/** What an app does at each step of its life. */
export interface ServiceOptions {
  /** The app's HTTP controllers, if it has any besides health and metrics. */
  readonly module?: DynamicModule | Type;
  /** Options of the HTTP server. */
  readonly fastify?: FastifyServerOptions;
  /**
   * Controllers for operators and for what watches the service. An app that has them listens at `adminPort` as well, and
   * serves metrics there alone.
   */
  readonly admin?: DynamicModule | Type;
  /** Adds to the HTTP applications before they listen; `admin` is there where the app has one. */
  configure?(app: NestFastifyApplication, admin?: NestFastifyApplication): Promise<void> | void;
  /** Loads and warms up; the service is ready when it returns. Health is served meanwhile. */
  start(): Promise<void>;
  /**
   * Takes no more work and finishes or hands back what is held, within `graceMs`. HTTP closes afterwards. Also called
   * when the process is told to stop while `start` still runs, or when `start` failed.
   */
  stop(graceMs: number): Promise<void>;
  /** Lets go of what HTTP requests need, once the last of them has been answered. */
  closed?(): Promise<void>;
}

/** Composes an app from its context: plain constructors, called in one place. */
export type Compose<C extends ServiceConfig> = (context: ServiceContext<C>) => ServiceOptions | Promise<ServiceOptions>;

/** One app in this process: composed by `create`, ready after `start`, gone after `close`. `runService` ties it to the process. */
export class Service {
  readonly app: NestFastifyApplication;
  /** For operators, where the app tells them apart from its clients. */
  readonly admin: NestFastifyApplication | undefined;
  readonly logger: Logger;
  readonly lifecycle: Lifecycle;
  readonly #config: ServiceConfig;
  readonly #options: ServiceOptions;
  readonly #tracing: Tracing | undefined;
  readonly #cutUnusedConnections: () => void;
  #listening: Promise<string> | undefined;
  #closing: Promise<boolean> | undefined;

  private constructor(
    { app, admin }: { readonly app: NestFastifyApplication; readonly admin: NestFastifyApplication | undefined },
    context: ServiceContext,
    options: ServiceOptions,
    tracing: Tracing | undefined,
  ) {
    this.app = app;
    this.admin = admin;
    this.logger = context.logger;
    this.lifecycle = context.lifecycle;
    this.#config = context.config;
    this.#options = options;
    this.#tracing = tracing;
    this.#cutUnusedConnections = watchUnusedConnections(app.getHttpServer() as Server);
  }

  /** @param name the app's, in logs and metrics. */
  static async create<C extends ServiceConfig>(name: string, config: C, compose: Compose<C>): Promise<Service> {
    const lifecycle = new Lifecycle();
    const { logLevel: level, logFormat: format, tracesUrl, traceShare } = config;
    const logger = createLogger({ name, level, format, traced: tracesUrl !== '' });
    // Before anything asks for a span.
    const tracing = tracesUrl
      ? (await import('./tracing.js')).startTracing(name, tracesUrl, traceShare, logger)
      : undefined;
    const metrics = createMetrics(name, lifecycle);
    lifecycle.onChange((state) => logger.info({ state }, state));
    const context = { config, logger, lifecycle, metrics };
    const options = await compose(context);
    const { module, admin, fastify } = options;
    const parts = { lifecycle, ...(!admin && { metrics }), app: module };
    const app = await createHttp(ServiceModule.with(parts), context, fastify);
    const adminModule = admin && ServiceModule.with({ lifecycle, metrics, app: admin });
    const apps = { app, admin: adminModule && (await createHttp(adminModule, context)) };
    return new Service(apps, context, options, tracing);
  }

  /** Serves health at once, warms up, and returns the HTTP address when ready. */
  async start(): Promise<string> {
    this.#listening = this.#listen();
    const url = await this.#listening;
    // Each step only if `close` was not called meanwhile.
    if (this.lifecycle.state === 'starting') this.lifecycle.to('warming');
    if (this.lifecycle.state === 'warming') await this.#options.start();
    if (this.lifecycle.state === 'warming') this.lifecycle.to('ready');
    return url;
  }

  async #listen(): Promise<string> {
    const { host, httpPort, adminPort } = this.#config;
    await this.#options.configure?.(this.app, this.admin);
    if (this.admin) {
      if (adminPort === undefined) throw new Error('An app with an admin interface needs the setting adminPort.');
      await this.admin.listen(adminPort, host);
      this.logger.info({ url: await this.admin.getUrl() }, 'listening for operators');
    }
    await this.app.listen(httpPort, host);
    const url = await this.app.getUrl();
    this.logger.info({ url }, 'listening for HTTP');
    return url;
  }

  /** Drains and closes; false when `drainTimeoutMs` passed before all was done. Further calls wait for the first. */
  close(): Promise<boolean> {
    return (this.#closing ??= this.#drain());
  }

  /** Requests in hand have most of the time that there is; a connection that is open even then is cut. */
  async #closeHttp(): Promise<void> {
    const server = this.app.getHttpServer() as Server;
    const cut = setTimeout(() => server.closeAllConnections(), this.#config.drainTimeoutMs * DRAIN_SHARE);
    this.#cutUnusedConnections();
    try {
      await this.app.close();
      // Until then it tells how the drain goes.
      (this.admin?.getHttpServer() as Server | undefined)?.closeAllConnections();
      await this.admin?.close();
    } finally {
      clearTimeout(cut);
    }
  }

  async #drain(): Promise<boolean> {
    const { drainTimeoutMs } = this.#config;
    this.lifecycle.to('draining');
    const done = new AbortController();
    const limit = sleep(drainTimeoutMs, false, { signal: done.signal });
    const work = this.#options
      .stop(drainTimeoutMs)
      .finally(() => Promise.allSettled([this.#listening])) // Fastify never ends a close that overtakes its listen
      .finally(() => this.#closeHttp())
      .finally(() => this.#options.closed?.())
      .finally(() => this.#tracing?.stop())
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
