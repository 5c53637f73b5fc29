import type { LoggerService } from '@nestjs/common';
import { traceIds } from '@segue/tracing';
import { pino, stdSerializers, type Logger } from 'pino';
import { PinoPretty } from 'pino-pretty';

export type { Logger } from 'pino';

export interface LoggerOptions {
  /** Name of the app, in every line. */
  readonly name: string;
  readonly level: string;
  readonly format: 'json' | 'pretty';
  /** Whether lines name the trace that they belong to. */
  readonly traced?: boolean;
}

/**
 * A logger that writes one line per event to standard output. Log ids, sizes and durations, never a picture or a
 * person's words. An error goes under `err` and is written with its causes.
 */
export function createLogger({ name, level, format, traced = false }: LoggerOptions): Logger {
  const options = {
    name,
    level,
    base: { name },
    serializers: { err: stdSerializers.errWithCause },
    ...(traced && { mixin: traceIds }),
  };
  if (format === 'json') return pino({ ...options, timestamp: pino.stdTimeFunctions.isoTime });
  return pino(options, PinoPretty({ ignore: 'name', translateTime: 'HH:MM:ss.l', singleLine: true, sync: true }));
}

/** Nest's own messages through the process's logger, its start-up chatter at debug level. */
export class NestLogger implements LoggerService {
  readonly #logger: Logger;

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  log(message: unknown, ...context: unknown[]): void {
    this.#logger.debug({ context: context.at(-1) }, String(message));
  }

  warn(message: unknown, ...context: unknown[]): void {
    this.#logger.warn({ context: context.at(-1) }, String(message));
  }

  error(message: unknown, ...context: unknown[]): void {
    if (message instanceof Error) this.#logger.error({ err: message, context: context.at(-1) }, message.message);
    else this.#logger.error({ context }, String(message));
  }

  debug(message: unknown, ...context: unknown[]): void {
    this.#logger.trace({ context: context.at(-1) }, String(message));
  }

  verbose(message: unknown, ...context: unknown[]): void {
    this.#logger.trace({ context: context.at(-1) }, String(message));
  }
}
