import { SegueError, type SegmentationRequest, type Stage } from '@segue/core';
import { inspectPicture, type PictureLimits } from '@segue/imaging';
import type { Jobs } from '@segue/jobs';
import { imageIdOf, type PictureStore } from '@segue/pictures';
import { pictureLimits } from '@segue/service';
import type { Webhooks } from '@segue/webhooks';
import type { GatewayConfig } from '../config.js';
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
  /** Absent where none may be called. */
  readonly webhooks: Webhooks | undefined;
}

/** Makes jobs of requests. All of a request is checked before anything of it is stored: a bad one leaves nothing behind. */
export class Intake {
  readonly #config: GatewayConfig;
  readonly #jobs: Jobs;
  readonly #pictures: PictureStore;
  readonly #catalogue: ModelCatalogue;
  readonly #admission: Admission;
  readonly #arrivals: Arrivals;
  readonly #webhooks: Webhooks | undefined;

  constructor(config: GatewayConfig, { jobs, pictures, catalogue, arrivals, webhooks }: IntakeParts) {
    this.#config = config;
    this.#jobs = jobs;
    this.#pictures = pictures;
    this.#catalogue = catalogue;
    this.#admission = new Admission(jobs, config);
    this.#arrivals = arrivals;
    this.#webhooks = webhooks;
  }

  /**
   * @param spell the client's spelling of the options, for what is wrong with them.
   * @param callerDeadlineAtMs ends the job earlier than its own time limit would; milliseconds since the epoch.
   * @returns whether the job is new: an idempotency key may have found one.
   * @throws SegueError
   */
  async submit(
    command: SegmentationCommand,
    spell: Spelling,
    callerDeadlineAtMs: number,
  ): Promise<{ readonly jobId: string; readonly created: boolean }> {
    const { picture, idempotencyKey, webhookUrl } = command;
    const webhooks = webhookUrl === undefined ? undefined : this.#webhooks;
    if (webhookUrl !== undefined && !webhooks) throw noWebhooks();
    webhooks?.check(webhookUrl ?? '');
    const request = this.#complete(command, spell);
    const timeoutMs = Math.max(1, Math.min(this.#timeout(command.timeoutMs, spell), callerDeadlineAtMs - Date.now()));
    // What was accepted once is neither refused nor stored again.
    const accepted = idempotencyKey !== undefined && (await this.#jobs.isAccepted(idempotencyKey));
    const { imageId, starting } = accepted
      ? { imageId: await imageIdIn(picture), starting: [] }
      : await this.#admit(picture, spell);
    const submitted = await this.#jobs.submit({
      request: { ...request, imageId },
      starting,
      timeoutMs,
      ...(idempotencyKey !== undefined && { idempotencyKey }),
    });
    // Noted again by a retry, should this process end here.
    await webhooks?.add(submitted.jobId, webhookUrl ?? '', timeoutMs);
    return submitted;
  }

  /** @throws SegueError INVALID_ARGUMENT for what is no picture or is too large a one. */
  async storePicture(bytes: Uint8Array): Promise<StoredPicture> {
    const size = await this.#inspect(bytes);
    return { imageId: await this.#pictures.put(bytes, size), ...size };
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
    const maxTokens = command.maxTokens ?? model.maxTokens;
    if (maxTokens > model.maxTokens) {
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
      maxTokens,
      maskFormat,
      priority,
      ...(polygonTolerance !== undefined && { polygonTolerance }),
    };
  }

  /** Milliseconds. */
  #timeout(asked: number | undefined, spell: Spelling): number {
    const { defaultTimeoutMs, maxTimeoutMs } = this.#config;
    const timeoutMs = asked ?? Math.min(defaultTimeoutMs, maxTimeoutMs);
    if (timeoutMs > maxTimeoutMs) {
      throw new SegueError('INVALID_ARGUMENT', `"${spell('timeoutMs')}" must be at most ${maxTimeoutMs}.`);
    }
    return timeoutMs;
  }

  /** @returns the id of the picture, which is stored from now on, and the stages that are yet to be started. */
  async #admit(
    picture: SegmentationCommand['picture'],
    spell: Spelling,
  ): Promise<{ readonly imageId: string; readonly starting: readonly Stage[] }> {
    if ('imageId' in picture) {
      await this.#find(picture.imageId, spell);
      return { imageId: picture.imageId, starting: await this.#enter() };
    }
    const size = await this.#inspect(picture.bytes);
    const starting = await this.#enter();
    return { imageId: await this.#pictures.put(picture.bytes, size), starting };
  }

  #enter(): Promise<readonly Stage[]> {
    this.#arrivals.note();
    return this.#admission.admit();
  }

  async #inspect(bytes: Uint8Array): Promise<{ readonly width: number; readonly height: number }> {
    if (bytes.byteLength === 0)
      throw new SegueError('INVALID_ARGUMENT', 'The picture is empty. Send the bytes of its file.');
    const { width, height } = await inspectPicture(bytes, this.pictureLimits);
    return { width, height };
  }

  async #find(imageId: string, spell: Spelling): Promise<void> {
    try {
      await this.#pictures.sizeOf(imageId);
    } catch (cause) {
      if (!(cause instanceof SegueError && cause.code === 'NOT_FOUND')) throw cause;
      throw new SegueError(
        'NOT_FOUND',
        `No picture with this "${spell('imageId')}" is kept any more. Send the picture itself again.`,
        { cause },
      );
    }
  }
}

function noWebhooks(): SegueError {
  return new SegueError(
    'PERMISSION_DENIED',
    'This service calls no webhooks. Its operator can allow some with SEGUE_WEBHOOK_HOSTS and SEGUE_WEBHOOK_SECRET.',
  );
}

async function imageIdIn(picture: SegmentationCommand['picture']): Promise<string> {
  return 'bytes' in picture ? imageIdOf(picture.bytes) : picture.imageId;
}
