import type { Bundle } from '@segue/bundle';
import type { Stage } from '@segue/core';
import type { SessionGroup } from '@segue/inference';
import type { PictureStore } from '@segue/pictures';
import type { Logger, Registry } from '@segue/service';
import type { StageProcessor } from '@segue/stages';
import type { TensorDirectory, TensorHostOptions } from '@segue/tensor-exchange';
import type { TensorPuller } from './tensor-puller.js';
import type { WorkerMetrics } from './metrics.js';

/** What a stage gets to work with once its process has started. */
export interface StageContext<C> {
  readonly config: C;
  readonly bundle: Bundle;
  readonly pictures: PictureStore;
  /** Who holds which tensors. */
  readonly directory: TensorDirectory;
  /** The way to the tensors that other workers hold. */
  readonly tensors: TensorPuller;
  /** By which other workers know this one; without TLS where there are none. */
  readonly serverCredentials: TensorHostOptions['credentials'];
  readonly metrics: WorkerMetrics;
  readonly registry: Registry;
  readonly logger: Logger;
  /** Loads graphs of the bundle into a thread of their own. They are closed after the stage. */
  openGraphs(keys: readonly string[]): Promise<SessionGroup['sessions']>;
}

/** A stage whose model is loaded and has been tried out. */
export interface OpenStage<S extends Stage> {
  /** The work on one task. */
  readonly process: StageProcessor<S>;
  /** Lets go of the model, after the last task and before the graphs close. */
  close?(): Promise<void>;
}
