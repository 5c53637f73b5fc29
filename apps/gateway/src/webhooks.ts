import { createRequire } from 'node:module';
import { SegueError } from '@segue/core';
import type { RedisConnection } from '@segue/redis';
import type { Logger } from '@segue/service';
import { Webhooks, type BodyOf } from '@segue/webhooks';
import type { GatewayConfig } from './config.js';
import { toJobBody } from './http/json.js';
import type { SegmentationService } from './segmentation/segmentation.service.js';

const SHORTEST_SECRET_BYTES = 24;
const { version } = createRequire(import.meta.url)('../package.json') as { readonly version: string };

/** @returns nothing where no host may be called. @throws SegueError INVALID_ARGUMENT for a secret that is none. */
export function openWebhooks(config: GatewayConfig, redis: RedisConnection, logger: Logger): Webhooks | undefined {
  const { webhookHosts: hosts, webhookSecret: secret } = config;
  if (hosts.length === 0) return undefined;
  if (Buffer.from(secret.replace(/^whsec_/, ''), 'base64').byteLength < SHORTEST_SECRET_BYTES) {
    throw new SegueError(
      'INVALID_ARGUMENT',
      `SEGUE_WEBHOOK_HOSTS needs a SEGUE_WEBHOOK_SECRET of at least ${SHORTEST_SECRET_BYTES} bytes in base64: openssl rand -base64 32.`,
    );
  }
  const options = {
    hosts,
    secret,
    allowPrivate: config.webhookPrivateAddresses === 'on',
    timeoutMs: config.webhookTimeoutMs,
    // What is told is read from the job, which is kept for so long.
    giveUpAfterMs: Math.min(config.webhookGiveUpAfterMs, config.jobKeepMs),
    userAgent: `segue/${version}`,
  };
  return new Webhooks(redis, options, logger);
}

/** What a webhook tells of a job; nothing while it has not ended. @throws SegueError NOT_FOUND */
export async function endedJob(service: SegmentationService, jobId: string): ReturnType<BodyOf> {
  const { value, encodeMask } = await service.job(jobId);
  if (value.state === 'queued' || value.state === 'running') return undefined;
  return { type: `job.${value.state}`, data: await toJobBody(value, encodeMask) };
}
