import { ERROR_CODES, STAGES, type ErrorCode, type JobEvent, type Stage } from '@segue/core';
import { QUEUE_KEYS, type Jobs } from '@segue/jobs';
import type { EndedCall } from '@segue/rpc';
import { Counter, Gauge, Histogram, SECONDS_BUCKETS, type Logger, type Registry } from '@segue/service';

/** What the gateway measures of its requests, of the queues, and of Redis. */
export class GatewayMetrics {
  readonly #http: Histogram<'method' | 'route' | 'status'>;
  readonly #grpc: Histogram<'method' | 'code'>;
  readonly #first: Histogram<'event'>;
  readonly #refused: Counter<'code'>;
  readonly #starting: Counter<'stage'>;

  constructor(registry: Registry, jobs: Jobs, logger: Logger) {
    const registers = [registry];
    this.#http = new Histogram({
      name: 'segue_http_request_seconds',
      help: 'Time to answer an HTTP request, streams until their end.',
      labelNames: ['method', 'route', 'status'],
      buckets: SECONDS_BUCKETS,
      registers,
    });
    this.#grpc = new Histogram({
      name: 'segue_grpc_request_seconds',
      help: 'Time to answer a gRPC call, streams until their end.',
      labelNames: ['method', 'code'],
      buckets: SECONDS_BUCKETS,
      registers,
    });
    this.#first = new Histogram({
      name: 'segue_first_event_seconds',
      help: 'Time from a streamed request to its first words (text) and its first mask (segment).',
      labelNames: ['event'],
      buckets: SECONDS_BUCKETS,
      registers,
    });
    this.#refused = new Counter({
      name: 'segue_refused_requests_total',
      help: 'Requests that were not let in, by code.',
      labelNames: ['code'],
      registers,
    });
    this.#starting = new Counter({
      name: 'segue_cold_starts_total',
      help: 'Jobs that were let in while the stage had no worker and one was being started.',
      labelNames: ['stage'],
      registers,
    });
    // There from the beginning, so that the first of a kind is seen as a change.
    for (const code of ['RESOURCE_EXHAUSTED', 'UNAVAILABLE'] as const) this.#refused.inc({ code }, 0);
    for (const stage of STAGES) this.#starting.inc({ stage }, 0);
    new Gauge({
      name: 'segue_redis_round_trip_seconds',
      help: 'Time of one command to Redis, given when the metrics are read.',
      registers,
      async collect() {
        this.reset();
        const asked = performance.now();
        // Without Redis there is none; the other metrics must still be readable.
        const answered = await jobs.deadLetters.count().catch(() => undefined);
        if (answered !== undefined) this.set((performance.now() - asked) / 1000);
      },
    });
    new Gauge({
      name: 'segue_dead_letters',
      help: 'Tasks that are not tried any more and that nobody has looked at.',
      registers,
      async collect() {
        this.reset();
        try {
          this.set(await jobs.deadLetters.count());
        } catch (error) {
          logger.warn({ err: error }, 'could not count the dead letters');
        }
      },
    });
    new Gauge({
      name: 'segue_queue_tasks',
      help: 'Tasks of each queue that are not done, by state.',
      labelNames: ['queue', 'state'],
      registers,
      async collect() {
        this.reset();
        try {
          const depth = await jobs.depth();
          for (const queue of QUEUE_KEYS) {
            for (const [state, tasks] of Object.entries(depth[queue])) this.set({ queue, state }, tasks);
          }
        } catch (error) {
          // The other metrics must still be readable when Redis is away.
          logger.warn({ err: error }, 'could not read the depth of the queues');
        }
      },
    });
  }

  httpRequest(method: string, route: string, status: number, seconds: number): void {
    this.#http.observe({ method, route, status }, seconds);
  }

  /** An event of a streamed request, so many seconds after it; told of the first of a kind. */
  firstEvent(event: Extract<JobEvent['type'], 'text' | 'segment'>, seconds: number): void {
    this.#first.observe({ event }, seconds);
  }

  refused(code: ErrorCode): void {
    this.#refused.inc({ code });
  }

  /** A job waits for workers that are yet to be started. */
  starting(stages: readonly Stage[]): void {
    for (const stage of stages) this.#starting.inc({ stage });
  }

  grpcRequest({ method, status, seconds }: EndedCall): void {
    const code = Object.entries(ERROR_CODES).find(([, { grpc }]) => grpc === status)?.[0] ?? 'OK';
    this.#grpc.observe({ method, code }, seconds);
  }
}
