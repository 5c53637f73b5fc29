export type { WorkerMetrics } from './metrics.js';
export { runWorker, type WorkerDescription } from './run-worker.js';
export { workerSettings } from './settings.js';
export type { StageWorker, WorkerContext } from './stage-worker.js';
export type { Tensors } from './tensors.js';
