/** One hash tag for every key but pictures, BullMQ's keys included: on a Redis Cluster scripts and flows touch keys of one slot alone. */
export const PREFIX = '{segue}';

export const KEYS = {
  /** Hash: the job record. */
  record: (jobId: string) => `${PREFIX}:job:${jobId}`,
  /** Stream: the job's event log. */
  events: (jobId: string) => `${PREFIX}:job:${jobId}:events`,
  /** Channel: something happened to the job. */
  signal: (jobId: string) => `${PREFIX}:signal:${jobId}`,
  /** String: the job that an idempotency key stands for. */
  idempotency: (keyDigest: string) => `${PREFIX}:idempotency:${keyDigest}`,
  /** Hash: a picture and its size. In a cluster any master may have it, so no script touches it together with another key. */
  picture: (imageId: string, { isCluster }: { readonly isCluster: boolean }) =>
    `${isCluster ? 'segue' : PREFIX}:picture:${imageId}`,
  /** Set: owners of a tensor set. */
  tensors: (key: string) => `${PREFIX}:tensors:${key}`,
  /** List: tensor sets that will soon be needed, for whoever fetches them ahead. */
  newTensors: `${PREFIX}:new-tensors`,
  /** String with a short lifetime: the owner of tensors lives. */
  tensorOwner: (owner: string) => `${PREFIX}:tensor-owner:${owner}`,
  /** Sorted set: jobs that have not ended, by deadline. */
  deadlines: `${PREFIX}:deadlines`,
  /** Sorted set: jobs whose flow has not been added yet, by creation. */
  unsent: `${PREFIX}:unsent`,
  /** Sorted set: a tenant's newest jobs, as texts that sort by creation. */
  jobsOf: (tenant: string) => `${PREFIX}:jobs-of:${tenant}`,
  /** Sorted set: jobs whose webhook is still to be called, by when; and a hash for each, what to call. */
  webhooks: `${PREFIX}:webhooks`,
  webhook: (jobId: string) => `${PREFIX}:webhook:${jobId}`,
  /** Hash: a file of questions. */
  batchFile: (id: string) => `${PREFIX}:batch-file:${id}`,
  /** Hash: a batch; a set of the lines that have a result; lists of results, by the id of their file. */
  batch: (id: string) => `${PREFIX}:batch:${id}`,
  batchDone: (id: string) => `${PREFIX}:batch:${id}:done`,
  batchLines: (id: string, fileId: string) => `${PREFIX}:batch:${id}:${fileId}`,
  /** Sorted sets: a tenant's batches by creation, and those that have not ended by the end of their lease. */
  batchesOf: (tenant: string) => `${PREFIX}:batches-of:${tenant}`,
  openBatches: `${PREFIX}:open-batches`,
  /** Sorted set: a tenant's jobs of one priority that have not ended, by turn. */
  openJobs: (tenant: string, priority: string) => `${PREFIX}:tenant:${tenant}:open:${priority}`,
  /** Hash: milliseconds that one job takes of each stage. */
  pace: `${PREFIX}:pace`,
  /** Hash: whose turn it is. */
  turns: `${PREFIX}:turns`,
  /** Hash: what is left of a tenant's requests of this minute. */
  rate: (tenant: string) => `${PREFIX}:tenant:${tenant}:rate`,
  /** Hash: what the tenants used on a day (UTC, days since the epoch), as `<tenant>/<figure>`. */
  usage: (day: number | '') => `${PREFIX}:usage:${day}`,
  /** Sorted set: a tenant's pictures, by the end of their lifetime; with `:bytes`, a hash of their bytes and of all (`total`). */
  tenantPictures: (tenant: string) => `${PREFIX}:tenant:${tenant}:pictures`,
  /** List: jobs that have ended and that nobody has counted yet. */
  ended: `${PREFIX}:ended`,
  /** Hash: tasks that ended the processes which ran them, by job id. */
  deadLetters: `${PREFIX}:dead-letters`,
  /** Hash: requests that came, by the number of their five seconds since the epoch. */
  arrivals: `${PREFIX}:arrivals`,
  /** Hash: what the workers of each stage have done lately, and in which time. */
  work: `${PREFIX}:work`,
  /** Sorted set: live workers of a stage, by the time of their last heartbeat. */
  workers: (stage: string) => `${PREFIX}:workers:${stage}`,
  /** Hash: what each worker of a stage says of itself. */
  workerInfo: (stage: string) => `${PREFIX}:workers:${stage}:info`,
} as const;
