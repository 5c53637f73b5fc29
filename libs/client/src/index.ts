export {
  decodeMask,
  encodeMask,
  ERROR_CODES,
  isTerminal,
  maskArea,
  maskBox,
  maskIou,
  maskToPolygon,
  paintMask,
  polygonToMask,
  segmentColour,
  SegueError,
  type Answer,
  type Box,
  type CacheUse,
  type ErrorBody,
  type ErrorCode,
  type ErrorReason,
  type FinishReason,
  type Job,
  type JobEvent,
  type JobEventBody,
  type JobState,
  type Knowledge,
  type Mode,
  type Pixels,
  type Priority,
  type RunLengthMask,
  type Segment,
  type SegueErrorOptions,
  type Span,
  type Stage,
  type Timings,
  type Turn,
} from '@segue/core';
export type { Model, StoredImage } from './bodies.js';
export { SegueClient, type SegueClientOptions } from './client.js';
export type { Jobs, ListOptions, WatchOptions } from './jobs.js';
export { paintSegments } from './paint-segments.js';
export type { ImageBytes, Picture, SegmentOptions } from './request.js';
export { serverSentEvents } from './server-sent-events.js';
export type { CallOptions } from './transport.js';
