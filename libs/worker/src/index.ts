export { runWorker } from './run-worker.js';
export { tensorCacheSettings, tensorHostSettings, workerSettings } from './settings.js';
export type { OpenStage, StageContext } from './stage-context.js';
