export type { DeadLetter } from './dead-letters.js';
export type { WorkerInfo } from './heartbeats.js';
export type { ListOptions } from './job-list.js';
export { Jobs, type Outlook } from './jobs.js';
export { QUEUE_KEYS } from './queues.js';
export { toJob, type JobRecord, type NewJob } from './record.js';
export type { SeedRates, StageLoad } from './stage-load.js';
export type { StageHost } from './stage-host.js';
export type { StageRunReport, TaskHost } from './task-host.js';
