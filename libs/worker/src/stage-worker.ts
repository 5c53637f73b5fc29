import type { Bundle } from '@segue/bundle';
import type { Stage } from '@segue/core';
import type { SessionGroup } from '@segue/inference';
import type { Jobs, StageProcessor } from '@segue/jobs';
import type { Logger } from '@segue/service';
import type { TensorHost } from '@segue/tensor-exchange';
import type { WorkerMetrics } from './metrics.js';
import type { Tensors } from './tensors.js';

/** What a stage gets to work with once its process has started. */
export interface WorkerContext {
  readonly bundle: Bundle;
  readonly jobs: Jobs;
  readonly tensors: Tensors;
  readonly metrics: WorkerMetrics;
  readonly logger: Logger;
  /** Loads graphs of the bundle into a thread of their own. They are closed after the stage. */
  openGraphs(keys: readonly string[]): Promise<SessionGroup['sessions']>;
  /** Opens this worker's own tensors to others, until the worker stops. */
  openTensorHost(): Promise<TensorHost>;
}

/** One stage, as its app implements it. */
export interface StageWorker<S extends Stage> {
  /** Loads the model and tries it out: a worker that cannot answer never becomes ready. */
  open(context: WorkerContext): Promise<void>;
  /** The work on one task. */
  readonly process: StageProcessor<S>;
  /** Lets go of the model, after the last task and before the graphs close. */
  close?(): Promise<void>;
}
