import { hostname } from 'node:os';
import { diag, DiagLogLevel } from '@opentelemetry/api';
import { W3CTraceContextPropagator } from '@opentelemetry/core';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http';
import { resourceFromAttributes } from '@opentelemetry/resources';
import {
  BatchSpanProcessor,
  NodeTracerProvider,
  ParentBasedSampler,
  TraceIdRatioBasedSampler,
} from '@opentelemetry/sdk-trace-node';
import type { Logger } from './logging.js';

export interface Tracing {
  /** Sends what is left. */
  stop(): Promise<void>;
}

/** Sends the spans of this process to a collector. Imported only where traces are wanted: without it they cost nothing. */
export function startTracing(app: string, url: string, share: number, logger: Logger): Tracing {
  const told = (message: string, ...details: unknown[]): void => logger.warn({ details }, `traces: ${message}`);
  diag.setLogger({ error: told, warn: told, info() {}, debug() {}, verbose() {} }, DiagLogLevel.WARN);
  const provider = new NodeTracerProvider({
    resource: resourceFromAttributes({
      'service.namespace': 'segue',
      'service.name': app,
      'service.instance.id': `${hostname()}:${process.pid}`,
    }),
    sampler: new ParentBasedSampler({ root: new TraceIdRatioBasedSampler(share) }),
    spanProcessors: [new BatchSpanProcessor(new OTLPTraceExporter({ url }))],
  });
  // Without baggage, which nobody here reads: what a client sends would travel through the queues.
  provider.register({ propagator: new W3CTraceContextPropagator() });
  return { stop: () => provider.shutdown() };
}
