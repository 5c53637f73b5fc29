import { SegueError, type Priority, type SegmentationRequest, type Stage, type Tenant } from '@segue/core';
import { inspectPicture, type PictureLimits } from '@segue/imaging';
import type { Jobs, NewJob } from '@segue/jobs';
import { imageIdOf, type PictureStore } from '@segue/pictures';
import { pictureLimits } from '@segue/service';
import type { Webhooks } from '@segue/webhooks';
import type { RateLimits } from '../access/rate-limits.js';
import type { GatewayConfig } from '../config.js';
import type { GatewayMetrics } from '../metrics/gateway-metrics.js';
import type { ModelCatalogue } from '../models/model-catalogue.js';
import { Admission } from './admission.js';
import type { Arrivals } from './arrivals.js';
import type { SegmentationCommand, Spelling } from './command.js';

export interface StoredPicture {
  /** SHA-256 of the bytes, hex. */
  readonly imageId: string;
  readonly width: number;
  readonly height: number;
}

export interface IntakeParts {
  readonly jobs: Jobs;
  readonly pictures: PictureStore;
  readonly catalogue: ModelCatalogue;
  readonly arrivals: Arrivals;
  readonly rates: RateLimits;
  /** Absent where none may be called. */
  readonly webhooks: Webhooks | undefined;
  readonly metrics: Pick<GatewayMetrics, 'refused' | 'starting'>;
}

/** What a request comes with besides what it says. */
export interface Submission {
  /** The client's spelling of the options, for what is wrong with them. */
  readonly spell: Spelling;
  readonly tenant: Tenant;
  /** Whether somebody waits for the answer, or will ask for it later. */
  readonly awaited: boolean;
  /** Ends the job earlier than its own time limit would; milliseconds since the epoch. */
  readonly deadlineAtMs: number;
  /** Aborts when the client goes away: there is no job then, unless it was made already. */
  readonly signal: AbortSignal;
}

type PictureSize = Omit<StoredPicture, 'imageId'>;

interface Entering {
  readonly priority: Priority;
  readonly timeoutMs: number;
  readonly job: (imageId: string, starting: readonly Stage[]) => NewJob;
}

/** Makes jobs of requests. All of a request is checked before anything of it is stored: a bad one leaves nothing behind. */
export class Intake {
  readonly #config: GatewayConfig;
  readonly #jobs: Jobs;
  readonly #pictures: PictureStore;
  readonly #catalogue: ModelCatalogue;
  readonly #rates: RateLimits;
  readonly #admission: Admission;
  readonly #arrivals: Arrivals;
  readonly #webhooks: Webhooks | undefined;
  readonly #metrics: IntakeParts['metrics'];

  constructor(config: GatewayConfig, { jobs, pictures, catalogue, arrivals, rates, webhooks, metrics }: IntakeParts) {
    this.#config = config;
    this.#jobs = jobs;
    this.#pictures = pictures;
    this.#catalogue = catalogue;
    this.#arrivals = arrivals;
    this.#webhooks = webhooks;
    this.#metrics = metrics;
    this.#rates = rates;
    this.#admission = new Admission(jobs, config);
  }

  /**
   * @returns whether the job is new: an idempotency key may have found one.
   * @throws SegueError
   */
  async submit(
    command: SegmentationCommand,
    submission: Submission,
  ): Promise<{ readonly jobId: string; readonly created: boolean }> {
    const { spell, tenant, deadlineAtMs } = submission;
    const { picture, idempotencyKey, webhookUrl } = command;
    const webhooks = webhookUrl === undefined ? undefined : this.#webhooks;
    if (webhookUrl !== undefined && !webhooks) throw noWebhooks();
    webhooks?.check(webhookUrl ?? '');
    const request = this.#complete(command, spell);
    const allowedMs = this.#timeout(command.timeoutMs, submission);
    const timeoutMs = Math.max(1, Math.min(allowedMs, deadlineAtMs - Date.now()));
    const job = (imageId: string, starting: readonly Stage[]): NewJob => ({
      request: { ...request, imageId },
      starting,
      timeoutMs,
      tenant: tenant.name,
      mostOfTenant: tenant.limits.openJobs ?? 0,
      mostOfAll: this.#config.maxJobs,
      ...(idempotencyKey !== undefined && { idempotencyKey }),
    });
    // What was accepted once is neither refused nor stored again.
    const accepted = idempotencyKey !== undefined && (await this.#jobs.isAccepted(idempotencyKey, tenant.name));
    const submitted = accepted
      ? await this.#jobs.submit(job(await imageIdIn(picture, tenant), []))
      : await this.#enter(picture, submission, { priority: request.priority, timeoutMs, job });
    // Noted again by a retry, should this process end here.
    await webhooks?.add(submitted.jobId, webhookUrl ?? '', timeoutMs);
    return submitted;
  }

  /** Makes the job of a request that is let in, with its picture stored. */
  async #enter(
    picture: SegmentationCommand['picture'],
    submission: Submission,
    { priority, timeoutMs, job }: Entering,
  ): ReturnType<Jobs['submit']> {
    const { tenant, signal } = submission;
    try {
      await this.#rates.take(tenant);
      const size = await this.#look(picture, submission);
      this.#arrivals.note();
      const maxWaitMs = (submission.awaited && this.#config.maxWaitMs) || Infinity;
      return await this.#admission.admit({ tenant: tenant.name, priority, timeoutMs, maxWaitMs }, async (starting) => {
        const imageId = await this.#keep(picture, size, { owner: tenant, signal });
        const submitted = await this.#jobs.submit(job(imageId, starting));
        this.#metrics.starting(starting);
        return submitted;
      });
    } catch (error) {
      if (error instanceof SegueError && (error.code === 'RESOURCE_EXHAUSTED' || error.code === 'UNAVAILABLE'))
        this.#metrics.refused(error.code);
      if (error instanceof SegueError && error.code === 'RESOURCE_EXHAUSTED') this.#arrivals.refuse(tenant.name);
      throw error;
    }
  }

  /** @throws SegueError INVALID_ARGUMENT for what is no picture or is too large a one, RESOURCE_EXHAUSTED beyond the tenant's limits. */
  async storePicture(bytes: Uint8Array, tenant: Tenant): Promise<StoredPicture> {
    await this.#rates.take(tenant);
    const size = await this.#inspect(bytes);
    return { imageId: await this.#pictures.put(bytes, size, { owner: tenant }), ...size };
  }

  get pictureLimits(): PictureLimits {
    return pictureLimits(this.#config);
  }

  #complete(command: SegmentationCommand, spell: Spelling): Omit<SegmentationRequest, 'imageId'> {
    const model = this.#catalogue.get(command.model);
    if (!model.modes.includes(command.mode)) {
      throw new SegueError(
        'INVALID_ARGUMENT',
        `The model ${model.name} has no mode "${command.mode}". Leave "${spell('mode')}" out.`,
      );
    }
    const { maxTokens } = command;
    if (maxTokens !== undefined && maxTokens > model.maxTokens) {
      throw new SegueError(
        'INVALID_ARGUMENT',
        `"${spell('maxTokens')}" must be at most ${model.maxTokens} for the model ${model.name}.`,
      );
    }
    const { instruction, history, mode, maskFormat, polygonTolerance, priority } = command;
    if (polygonTolerance !== undefined && maskFormat !== 'polygon') {
      throw new SegueError(
        'INVALID_ARGUMENT',
        `"${spell('polygonTolerance')}" goes with the format "polygon". Leave it out, or set "${spell('maskFormat')}".`,
      );
    }
    return {
      instruction,
      history,
      mode,
      model: model.name,
      ...(maxTokens !== undefined && { maxTokens }),
      maskFormat,
      priority,
      ...(polygonTolerance !== undefined && { polygonTolerance }),
    };
  }

  /** Milliseconds. */
  #timeout(asked: number | undefined, { awaited, spell }: Submission): number {
    const { defaultTimeoutMs, jobTimeoutMs, maxTimeoutMs } = this.#config;
    const timeoutMs = asked ?? Math.min(awaited ? defaultTimeoutMs : jobTimeoutMs, maxTimeoutMs);
    if (timeoutMs > maxTimeoutMs) {
      throw new SegueError('INVALID_ARGUMENT', `"${spell('timeoutMs')}" must be at most ${maxTimeoutMs}.`);
    }
    return timeoutMs;
  }

  /** @throws SegueError NOT_FOUND for the id of none, INVALID_ARGUMENT for bytes of none. */
  async #look(picture: SegmentationCommand['picture'], { spell, tenant }: Submission): Promise<PictureSize> {
    if ('bytes' in picture) return this.#inspect(picture.bytes);
    try {
      return await this.#pictures.sizeOf(picture.imageId, tenant.name);
    } catch (cause) {
      if (!(cause instanceof SegueError && cause.code === 'NOT_FOUND')) throw cause;
      throw new SegueError(
        'NOT_FOUND',
        `No picture with this "${spell('imageId')}" is kept any more. Send the picture itself again.`,
        { cause },
      );
    }
  }

  async #keep(
    picture: SegmentationCommand['picture'],
    size: PictureSize,
    options: { readonly owner: Tenant; readonly signal: AbortSignal },
  ): Promise<string> {
    return 'imageId' in picture ? picture.imageId : this.#pictures.put(picture.bytes, size, options);
  }

  async #inspect(bytes: Uint8Array): Promise<PictureSize> {
    if (bytes.byteLength === 0)
      throw new SegueError('INVALID_ARGUMENT', 'The picture is empty. Send the bytes of its file.');
    const { width, height } = await inspectPicture(bytes, this.pictureLimits);
    return { width, height };
  }
}

function noWebhooks(): SegueError {
  return new SegueError(
    'PERMISSION_DENIED',
    'This service calls no webhooks. Its operator can allow some with SEGUE_WEBHOOK_HOSTS and SEGUE_WEBHOOK_SECRET.',
  );
}

async function imageIdIn(picture: SegmentationCommand['picture'], { name }: Tenant): Promise<string> {
  return 'bytes' in picture ? imageIdOf(picture.bytes, name) : picture.imageId;
}
