import { STAGES } from '@segue/core';
import {
  defineConfig,
  flag,
  integer,
  jobSettings,
  list,
  oneOf,
  pictureSettings,
  port,
  positive,
  serviceSettings,
  someOf,
  text,
  textLike,
  url,
} from '@segue/service';

export const readConfig = defineConfig({
  ...serviceSettings({ httpPort: 8080 }),
  ...jobSettings,
  ...pictureSettings,
  /** The public gRPC interface. */
  grpcPort: port(50051),
  /** For operators and what watches the service: metrics, the load of the stages, health. Clients need not reach it. */
  adminPort: port(8090),
  /** Key of operators for `/queues` and `/stages` at the admin port, at least 16 characters; neither is there without one. */
  adminKey: textLike(/^[\w.~+/=-]{16,200}$/, 'must have 16 to 200 letters, digits and signs of base64', ''),
  /** Of Kubernetes' API, where busy workers' pods are marked to be taken away last (components/spare-busy-pods). */
  kubernetesUrl: url(['https:', 'http:'], ''),
  /** Where the API describes itself: at the admin port, or to all clients, with gRPC reflection. */
  apiDocs: oneOf(['admin', 'public'], 'admin'),
  /** File of the tenants and their API keys, read again when it changes; see docs/guides/tenants.md. */
  apiKeysFile: text(''),
  /** PEM files of this server's certificate, for HTTP and gRPC; read again when they change. */
  tlsCertFile: text(''),
  tlsKeyFile: text(''),
  /** PEM file of the authorities whose certificates clients must show (mutual TLS); nobody is asked for one without it. */
  tlsClientCaFile: text(''),
  /** Keys may be sent in the clear, because TLS ends before this process. */
  allowPlaintext: flag(false),
  /** Lets those in who show no key, also from other machines. */
  allowAnonymous: flag(false),
  /**
   * Time allowed for a request that waits for its answer and for a job that is asked for later, where they name none, and the most
   * that either may name: no more than `pictureKeepMs`.
   */
  defaultTimeoutMs: integer(60_000, { min: 1 }),
  jobTimeoutMs: integer(1_800_000, { min: 1 }),
  maxTimeoutMs: integer(3_600_000, { min: 1 }),
  /**
   * Longest wait, by the estimate, before work on a request begins whose answer is waited for; who would wait longer is refused.
   * 0: as long as its time allows.
   */
  maxWaitMs: integer(0, { min: 0 }),
  /** Jobs that may be open at the same time, all gateways together; each takes some kilobytes of Redis. */
  maxJobs: integer(20_000, { min: 1 }),
  /** Stages that an autoscaler starts workers for when there are none: their jobs wait instead of being refused. */
  scalableStages: someOf(STAGES, []),
  /** Tasks that may wait in any one queue while a scalable stage has no worker yet. */
  maxStartingDepth: integer(20, { min: 1 }),
  /** Tasks per second that one busy worker does, batching included, until that has been measured. */
  encodeTasksPerSecond: positive(10),
  generateTasksPerSecond: positive(3),
  decodeTasksPerSecond: positive(8),
  /** Masks (PNG, polygons) and overlays that are made at the same time, each in a thread of its own. */
  renderThreads: integer(1, { min: 1, max: 64 }),
  /** Bytes of masks and overlays that are kept for those who ask again. */
  maxRenderedBytes: integer(64 * 1024 * 1024, { min: 1 }),
  /** Bytes of requests that this process holds at the same time, over HTTP and gRPC. */
  maxUploadBytesHeld: integer(512 * 1024 * 1024, { min: 1 }),
  /** Time allowed for a request to arrive as a whole, in milliseconds. */
  uploadTimeoutMs: integer(60_000, { min: 1_000 }),
  /** Open connections over HTTP; more are closed at once. */
  maxConnections: integer(4_000, { min: 1 }),
  /** Calls that may be open at the same time on one connection over gRPC; further ones wait at their client. */
  maxStreamsPerConnection: integer(1_000, { min: 1 }),
  /** Origins whose pages may use this service from a browser, separated by commas, or `*`; none by default. */
  corsOrigins: list(),
  /** Whether whoever has no key may list jobs: all those of others without a key. For a service that one person uses. */
  listPublicJobs: oneOf(['on', 'off'], 'off'),
  /** Hosts that webhooks may call, separated by commas: names, `*.example.org`, or `*`; none by default. */
  webhookHosts: list(),
  /** Key that signs webhooks, base64, at least 24 bytes (openssl rand -base64 32). Needed where there are hosts. */
  webhookSecret: text(''),
  /** Whether webhooks may lead to private networks, and go without TLS. */
  webhookPrivateAddresses: oneOf(['on', 'off'], 'off'),
  /** Time allowed for one call of a webhook, in milliseconds. */
  webhookTimeoutMs: integer(10_000, { min: 1 }),
  /** How long a webhook is tried, in milliseconds; no longer than its job is kept. */
  webhookGiveUpAfterMs: integer(3_600_000, { min: 1 }),
  /** How long files of questions, batches and their results are kept, in milliseconds. */
  batchKeepMs: integer(24 * 3_600_000, { min: 1000 }),
  /** Questions of a batch that a gateway asks at the same time. */
  batchConcurrency: integer(4, { min: 1, max: 256 }),
  /** Where Label Studio is; its tasks' pictures are fetched from there and from nowhere else. */
  labelStudioUrl: url(['http:', 'https:'], ''),
  /** A token of Label Studio, where it wants one: a personal access token or a legacy one. */
  labelStudioToken: text(''),
  /** Names that requests may be sent to, without port; all by default. */
  allowedHosts: list(),
  /** Answers that this process puts together at the same time. */
  concurrency: integer(16, { min: 1 }),
});

export type GatewayConfig = ReturnType<typeof readConfig>;
