import { ERROR_CODES } from '@segue/core';
import { QUEUE_KEYS, type Jobs } from '@segue/jobs';
import type { EndedCall } from '@segue/rpc';
import { Gauge, Histogram, SECONDS_BUCKETS, type Logger, type Registry } from '@segue/service';

/** What the gateway measures of its requests and of the queues. */
export class GatewayMetrics {
  readonly #http: Histogram<'method' | 'route' | 'status'>;
  readonly #grpc: Histogram<'method' | 'code'>;

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

  grpcRequest({ method, status, seconds }: EndedCall): void {
    const code = Object.entries(ERROR_CODES).find(([, { grpc }]) => grpc === status)?.[0] ?? 'OK';
    this.#grpc.observe({ method, code }, seconds);
  }
}
