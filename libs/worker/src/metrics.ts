import type { Stage } from '@segue/core';
import type { AsyncContext, Session, SessionGroup } from '@segue/inference';
import type { StageRunReport } from '@segue/jobs';
import { Counter, Gauge, Histogram, SECONDS_BUCKETS, type Registry } from '@segue/service';
import { byteLength, type Tensor } from '@segue/tensors';
import { childSpan, failSpan, type Span } from '@segue/tracing';

/** What every stage worker counts. */
export class WorkerMetrics {
  readonly #stage: Stage;
  readonly #tasks: Counter;
  readonly #waited: Histogram;
  readonly #ran: Histogram;
  readonly #inference: Histogram;
  readonly #tensorBytes: Counter;
  readonly #cache: Counter;
  readonly #device: Gauge;

  constructor(registry: Registry, stage: Stage) {
    this.#stage = stage;
    const registers = [registry];
    this.#tasks = new Counter({
      name: 'segue_stage_tasks_total',
      help: 'Runs of a task by how they ended.',
      labelNames: ['stage', 'outcome'],
      registers,
    });
    this.#waited = new Histogram({
      name: 'segue_stage_queue_seconds',
      help: 'Time between adding a task and taking it.',
      labelNames: ['stage'],
      buckets: SECONDS_BUCKETS,
      registers,
    });
    this.#ran = new Histogram({
      name: 'segue_stage_run_seconds',
      help: 'Time that a task was worked on.',
      labelNames: ['stage'],
      buckets: SECONDS_BUCKETS,
      registers,
    });
    this.#inference = new Histogram({
      name: 'segue_inference_seconds',
      help: 'Time of one run of a graph, waiting for its thread included.',
      labelNames: ['graph'],
      buckets: SECONDS_BUCKETS,
      registers,
    });
    this.#tensorBytes = new Counter({
      name: 'segue_tensor_bytes_total',
      help: 'Bytes of tensors pulled from other workers, by the stages they went between.',
      labelNames: ['from', 'to'],
      registers,
    });
    // There from the beginning, so that the first tensors are seen as a change.
    if (stage !== 'encode') this.#tensorBytes.inc({ from: 'encode', to: stage }, 0);
    this.#cache = new Counter({
      name: 'segue_cache_requests_total',
      help: 'Look-ups of a cache by outcome.',
      labelNames: ['cache', 'outcome'],
      registers,
    });
    this.#device = new Gauge({
      name: 'segue_device_info',
      help: 'What the graphs of a worker run on; always 1.',
      labelNames: ['stage', 'device'],
      registers,
    });
  }

  /** @param device `cpu`, `cuda:0` */
  runsOn(device: string): void {
    this.#device.set({ stage: this.#stage, device }, 1);
  }

  task(report: StageRunReport): void {
    this.#tasks.inc({ stage: this.#stage, outcome: report.outcome });
    this.#waited.observe({ stage: this.#stage }, report.waitedMs / 1000);
    this.#ran.observe({ stage: this.#stage }, report.ranMs / 1000);
  }

  cacheLookup(cache: 'picture' | 'prefix' | 'tensors', hit: boolean): void {
    this.#cache.inc({ cache, outcome: hit ? 'hit' : 'miss' });
  }

  pulled(from: Stage, tensors: Readonly<Record<string, Tensor>>): void {
    const bytes = Object.values(tensors).reduce((sum, tensor) => sum + byteLength(tensor), 0);
    this.#tensorBytes.inc({ from, to: this.#stage }, bytes);
  }

  /** The same sessions, with the time of each run observed, and a span of it in the trace of each task that it is for. */
  timed<K extends string>({ sessions, close }: SessionGroup<K>): SessionGroup<K> {
    const timed = Object.entries(sessions as Record<string, Session>).map(([graph, session]): [string, Session] => [
      graph,
      {
        run: async (feeds, options = {}) => {
          const end = this.#inference.startTimer({ graph });
          const spans = runSpans(graph, options.within);
          try {
            return await session.run(feeds, options);
          } catch (error) {
            for (const span of spans) failSpan(span, error);
            throw error;
          } finally {
            end();
            for (const span of spans) span.end();
          }
        },
      },
    ]);
    return { sessions: Object.fromEntries(timed) as SessionGroup<K>['sessions'], close };
  }
}

function runSpans(graph: string, within: readonly AsyncContext[] = [(act) => act()]): Span[] {
  const attributes = { 'segue.graph': graph, 'segue.rows': within.length };
  return within.flatMap((act) => act(() => childSpan('session.run', attributes)) ?? []);
}
