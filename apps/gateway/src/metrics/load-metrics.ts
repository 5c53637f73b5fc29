import type { StageLoad } from '@segue/jobs';
import { Gauge, type Logger, type Registry } from '@segue/service';
import type { LoadReader } from '../admin/load-reader.js';

/** The load of the stages as metrics: the same from every gateway, so a query takes the largest, never the sum. */
export function measureLoad(registry: Registry, loads: LoadReader, logger: Logger): void {
  const gauge = (name: string, help: string, valueOf: (load: StageLoad) => number): Gauge =>
    new Gauge({
      name,
      help,
      labelNames: ['stage'],
      registers: [registry],
      async collect() {
        this.reset();
        try {
          for (const [stage, load] of Object.entries(await loads.read())) this.set({ stage }, valueOf(load));
        } catch (error) {
          // The other metrics must still be readable when Redis is away.
          logger.warn({ err: error, metric: name }, 'could not read the load of the stages');
        }
      },
    });
  gauge(
    'segue_stage_backlog_seconds',
    'Seconds that one worker would need for what is before the stage.',
    ({ backlogSeconds }) => backlogSeconds,
  );
  gauge(
    'segue_stage_demand_workers',
    'Workers that the requests of the last half minute keep busy, refused ones included.',
    ({ demandWorkers }) => demandWorkers,
  );
  gauge(
    'segue_stage_tasks_per_second',
    'Tasks per second that one busy worker of the stage does, batching included.',
    ({ tasksPerSecond }) => tasksPerSecond,
  );
  gauge('segue_stage_workers', 'Workers of the stage that are heard of.', ({ workers }) => workers);
  gauge('segue_stage_busy_ratio', "Share of the workers' hands that hold a task.", ({ busy }) => busy);
}
