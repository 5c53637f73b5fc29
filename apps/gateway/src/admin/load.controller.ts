import { Controller, Get, Header } from '@nestjs/common';
import { LoadReader } from './load-reader.js';

/** A stage's load as an autoscaler reads it; see `StageLoad`. */
interface LoadBody {
  readonly tasks: number;
  readonly tasks_per_second: number;
  readonly backlog_seconds: number;
  readonly demand_workers: number;
  readonly workers: number;
  readonly busy: number;
}

/** The signal to scale by, for KEDA's metrics-api scaler. */
@Controller()
export class LoadController {
  readonly #loads: LoadReader;

  constructor(loads: LoadReader) {
    this.#loads = loads;
  }

  /** Every gateway answers the same: take one answer or the largest, never the sum. 503 without Redis. */
  @Get('load')
  @Header('cache-control', 'no-store')
  async read(): Promise<{ readonly stages: Record<string, LoadBody> }> {
    const stages = Object.entries(await this.#loads.read()).map(([stage, load]): [string, LoadBody] => [
      stage,
      {
        tasks: rounded(load.tasks),
        tasks_per_second: rounded(load.tasksPerSecond),
        backlog_seconds: rounded(load.backlogSeconds),
        demand_workers: rounded(load.demandWorkers),
        workers: load.workers,
        busy: rounded(load.busy),
      },
    ]);
    return { stages: Object.fromEntries(stages) };
  }
}

/** Thousandths are enough, and exponents are not read everywhere. */
function rounded(value: number): number {
  return Math.round(value * 1000) / 1000;
}
