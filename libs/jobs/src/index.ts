export type { DeadLetter } from './dead-letters.js';
export type { WorkerInfo } from './heartbeats.js';
export type { QueueDepth } from './job-flows.js';
export { Jobs, type JobsOptions } from './jobs.js';
export { QUEUE_KEYS, type QueueKey } from './queues.js';
export { toJob, type JobRecord, type NewJob } from './record.js';
export type { SeedRates, StageLoad } from './stage-load.js';
export type { StageHost, StageHostOptions } from './stage-host.js';
export type { StageRunReport, TaskHost } from './task-host.js';
