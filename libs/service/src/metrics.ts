import { readFileSync } from 'node:fs';
import { collectDefaultMetrics, Gauge, Registry } from 'prom-client';
import { WORKER_STATES, type Lifecycle } from './lifecycle.js';

export { Counter, Gauge, Histogram, Registry } from 'prom-client';

/** Upper bounds in seconds that fit everything from a cache hit to a job that used all of its time. */
export const SECONDS_BUCKETS = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600];

const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as {
  version: string;
};

/**
 * How often the event loop's lag is looked at, in milliseconds, which `nodejs_eventloop_lag_p99_seconds` and its like include.
 * The dashboard takes them off. Every 10 ms, as is usual, took half a per cent of a core in each process that does nothing else.
 */
const LAG_EVERY_MS = 100;

/**
 * A registry of its own for one process (never prom-client's global one, so that two services can live in one test),
 * with Node's default metrics, among them the event loop's lag, and the service's version and state.
 */
export function createMetrics(app: string, lifecycle: Lifecycle): Registry {
  const registry = new Registry();
  registry.setDefaultLabels({ app });
  collectDefaultMetrics({ register: registry, eventLoopMonitoringPrecision: LAG_EVERY_MS });
  new Gauge({
    name: 'segue_build_info',
    help: 'Version of the service; always 1.',
    labelNames: ['version'],
    registers: [registry],
  }).set({ version }, 1);
  new Gauge({
    name: 'segue_service_state',
    help: 'State of the service: 1 for the current one.',
    labelNames: ['state'],
    registers: [registry],
    collect() {
      for (const state of WORKER_STATES) this.set({ state }, state === lifecycle.state ? 1 : 0);
    },
  });
  return registry;
}
