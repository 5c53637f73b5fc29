/** Somebody who uses the service, apart from all others: jobs, pictures and idempotency keys are seen by their tenant alone. */
export interface Tenant {
  readonly name: string;
  readonly limits: TenantLimits;
}

/** What a tenant may use; without a limit, as much as there is. */
export interface TenantLimits {
  /** Questions and uploads a minute. */
  readonly requestsPerMinute?: number | undefined;
  /** How many of these may come at once. */
  readonly burst?: number | undefined;
  /** Jobs that have not ended. */
  readonly openJobs?: number | undefined;
  /** Bytes of pictures that are kept. */
  readonly pictureBytes?: number | undefined;
  /** Bytes of requests that a gateway holds at the same time. */
  readonly uploadBytes?: number | undefined;
  /** Event streams that are open at the same time at a gateway. */
  readonly openStreams?: number | undefined;
}

/** Whoever need not say who it is. */
export const PUBLIC_TENANT = 'public';
