export {
  decodeMask,
  SegueError,
  type Answer,
  type Job,
  type JobEvent,
  type RunLengthMask,
  type Segment,
} from '@segue/core';
export { SegueClient, type Picture, type SegmentOptions, type SegueClientOptions, type WaitOptions } from './client.js';
export type { Knowledge, Model } from './messages.js';
export { serverSentEvents } from './server-sent-events.js';
