import { SegueError } from '@segue/core';
import type { ConfigReader } from './config.js';
import { collectGarbageLessOften } from './garbage-collection.js';
import { createLogger } from './logging.js';
import { Service, type Compose, type ServiceConfig } from './service.js';

export interface App<C extends ServiceConfig> {
  /** In logs and metrics. */
  readonly name: string;
  readonly readConfig: ConfigReader<C>;
}

/**
 * Runs an app as this process: reads its configuration, composes it, starts it, drains on SIGTERM or SIGINT and exits with 0. A bad
 * configuration, a failed start, an error that nobody caught, or a drain that takes too long exits with 1; a second
 * signal exits at once.
 */
export async function runService<C extends ServiceConfig>(app: App<C>, compose: Compose<C>): Promise<void> {
  collectGarbageLessOften();
  const service = await create(app, compose);
  const { logger } = service;

  const end = async (status: number): Promise<void> => {
    const inTime = await service.close().catch((error: unknown) => {
      logger.error({ err: error }, 'could not stop cleanly');
      return false;
    });
    if (!inTime) logger.error('gave up draining: the queue gives what was left to other workers');
    process.exit(inTime ? status : 1);
  };
  let signalled = false;
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.on(signal, () => {
      logger.info({ signal }, signalled ? 'told to stop again: stopping at once' : 'told to stop');
      if (signalled) process.exit(1);
      signalled = true;
      void end(0);
    });
  }
  // Crash-only: after an error that nobody caught the process's state is unknown, so nothing is drained.
  for (const event of ['uncaughtException', 'unhandledRejection'] as const) {
    process.on(event, (error: unknown) => {
      logger.fatal({ err: error }, 'stopping after an error that nobody caught');
      process.exit(1);
    });
  }

  try {
    await service.start();
  } catch (error) {
    if (signalled) return;
    logger.fatal({ err: error }, `could not start: ${error instanceof Error ? error.message : String(error)}`);
    await end(1);
  }
}

async function create<C extends ServiceConfig>({ name, readConfig }: App<C>, compose: Compose<C>): Promise<Service> {
  try {
    return await Service.create(name, readConfig(), compose);
  } catch (error) {
    const logger = createLogger({ name, level: 'info', format: 'json' });
    if (error instanceof SegueError) logger.fatal(error.message);
    else logger.fatal({ err: error }, 'could not start');
    // What was opened before the failure must not keep the process alive.
    process.exit(1);
  }
}
