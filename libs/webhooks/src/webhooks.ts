import { SegueError, startPeriodic, type Log, type Periodic } from '@segue/core';
import type { RedisConnection } from '@segue/redis';
import { post } from './post.js';
import { signedHeaders } from './signature.js';
import { checkTarget, type TargetRules } from './target.js';
import { WebhookQueue, type DueWebhook } from './webhook-queue.js';

export interface WebhookOptions extends TargetRules {
  /** Base64; signs every call. */
  readonly secret: string;
  /** Time allowed for one call. */
  readonly timeoutMs: number;
  /** How long a webhook is tried after it was asked for. */
  readonly giveUpAfterMs: number;
  readonly userAgent: string;
}

/** What is told of a job: the body, or nothing while it has not ended. A job that is gone is NOT_FOUND. */
export type BodyOf = (jobId: string) => Promise<{ readonly type: string; readonly data: unknown } | undefined>;

const LOOK_EVERY_MS = 500;
const AT_ONCE = 16;
const [FIRST_WAIT_MS, LONGEST_WAIT_MS] = [1_000, 300_000];
/** A job that nobody has called ended yet is looked at again. */
const LOOK_AGAIN_MS = 5_000;

/** Calls other servers when jobs have ended: at least once each, unless they never answer well. */
export class Webhooks {
  readonly #queue: WebhookQueue;
  readonly #options: WebhookOptions;
  readonly #log: Log;

  constructor(redis: RedisConnection, options: WebhookOptions, log: Log) {
    this.#queue = new WebhookQueue(redis);
    this.#options = options;
    this.#log = log;
  }

  /** @throws SegueError INVALID_ARGUMENT or PERMISSION_DENIED for an address that is not to be called. */
  check(url: string): void {
    checkTarget(url, this.#options);
  }

  /** Notes where to call when the job has ended. @param timeoutMs within which it ends. */
  async add(jobId: string, url: string, timeoutMs: number): Promise<void> {
    const { giveUpAfterMs } = this.#options;
    await this.#queue.add(jobId, url, timeoutMs + LOOK_AGAIN_MS, timeoutMs + giveUpAfterMs);
  }

  /** Calls whoever is to be called, until it is stopped; every gateway does. */
  start(bodyOf: BodyOf): Periodic {
    return startPeriodic({
      everyMs: LOOK_EVERY_MS,
      run: async () => {
        const due = await this.#queue.claim(AT_ONCE, this.#options.timeoutMs + LOOK_AGAIN_MS);
        await Promise.all(due.map((webhook) => this.#call(webhook, bodyOf)));
      },
      onError: (error) => this.#log.warn({ err: error }, 'calling webhooks failed; trying again'),
    });
  }

  async #call(webhook: DueWebhook, bodyOf: BodyOf): Promise<void> {
    const { jobId, url } = webhook;
    const told = await bodyOf(jobId).catch((error: unknown) => {
      if (error instanceof SegueError && error.code === 'NOT_FOUND') return 'gone' as const;
      throw error;
    });
    if (told === undefined) return this.#queue.delay(jobId, LOOK_AGAIN_MS);
    if (told === 'gone') return this.#queue.remove(jobId);
    try {
      const status = await this.#send(jobId, url, told);
      if (status < 200 || status > 299) throw new Error(`answered ${status}`);
      await this.#queue.remove(jobId);
    } catch (error) {
      await this.#failed(webhook, error);
    }
  }

  #send(
    jobId: string,
    url: string,
    { type, data }: { readonly type: string; readonly data: unknown },
  ): Promise<number> {
    const { secret, userAgent } = this.#options;
    const now = new Date();
    const body = JSON.stringify({ type, timestamp: now.toISOString(), data });
    const message = { id: `msg_${jobId}`, atSeconds: Math.floor(now.getTime() / 1000), body };
    return post(url, body, {
      ...this.#options,
      headers: { 'user-agent': userAgent, ...signedHeaders(message, secret) },
    });
  }

  /** Trying again waits longer each time; a receiver that says 410 wants to hear no more. */
  async #failed({ jobId, sinceMs, nowMs }: DueWebhook, error: unknown): Promise<void> {
    const failures = await this.#queue.countFailure(jobId);
    const refused = error instanceof SegueError || (error instanceof Error && error.message === 'answered 410');
    const waitMs = Math.min(FIRST_WAIT_MS * 2 ** (failures - 1), LONGEST_WAIT_MS) * (0.75 + Math.random() / 2);
    if (refused || nowMs + waitMs > sinceMs + this.#options.giveUpAfterMs) {
      this.#log.warn({ jobId, failures, err: error }, 'gave up a webhook');
      await this.#queue.remove(jobId);
    } else {
      this.#log.info({ jobId, failures, err: error }, 'a webhook failed; trying again');
      await this.#queue.delay(jobId, waitMs);
    }
  }
}
