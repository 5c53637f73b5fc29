export * from './answer-stage.js';
export { EventLog, type ReadOptions } from './event-log.js';
export { JobProducer, type QueueDepth } from './job-producer.js';
export { JobSignals, type JobSignal } from './job-signals.js';
export { JobStore } from './job-store.js';
export { JobSweeper, type JobSweeperOptions } from './job-sweeper.js';
export type { JobsLog } from './log.js';
export { openJobs, type Jobs, type JobsOptions } from './open-jobs.js';
export { PictureStore, type PictureSize } from './picture-store.js';
export { QUEUE_KEYS, QUEUES, type QueueKey } from './queues.js';
export {
  digestOf,
  hasEnded,
  toJob,
  type Generated,
  type JobRecord,
  type NewJob,
  type StageTimes,
  type TensorSetRef,
} from './record.js';
export { connectRedis, type RedisRole } from './redis.js';
export type {
  DecodeContext,
  EncodeContext,
  GenerateContext,
  SegmentPrompt,
  StageContexts,
  StageProcessor,
  StageResults,
  StageRunReport,
} from './stage.js';
export { StageHost, type StageHostOptions } from './stage-host.js';
