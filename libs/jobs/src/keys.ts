/** One hash tag for every key, BullMQ's included, so that scripts and flows work on a Redis Cluster. */
export const PREFIX = '{segue}';

export const KEYS = {
  /** Hash: the job record. */
  record: (jobId: string) => `${PREFIX}:job:${jobId}`,
  /** Stream: the job's event log. */
  events: (jobId: string) => `${PREFIX}:job:${jobId}:events`,
  /** Channel: something happened to the job. */
  signal: (jobId: string) => `${PREFIX}:signal:${jobId}`,
  /** Hash: a picture and its size. */
  picture: (imageId: string) => `${PREFIX}:picture:${imageId}`,
  /** Sorted set: jobs that have not ended, by deadline. */
  deadlines: `${PREFIX}:deadlines`,
  /** Sorted set: jobs whose flow has not been added yet, by creation. */
  unsent: `${PREFIX}:unsent`,
  /** List: jobs that have ended and that nobody has counted yet. */
  ended: `${PREFIX}:ended`,
} as const;
