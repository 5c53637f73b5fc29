import { SegueError, type SegmentationRequest } from '@segue/core';
import { inspectPicture, type PictureLimits } from '@segue/imaging';
import type { Jobs } from '@segue/jobs';
import { pictureLimits } from '@segue/service';
import type { GatewayConfig } from '../config.js';
import type { ModelCatalogue } from '../models/model-catalogue.js';
import { Admission } from './admission.js';
import type { SegmentationCommand } from './request-options.js';

export interface StoredPicture {
  /** SHA-256 of the bytes, hex. */
  readonly imageId: string;
  readonly width: number;
  readonly height: number;
}

/** Makes jobs of requests. All of a request is checked before anything of it is stored: a bad one leaves nothing behind. */
export class Intake {
  readonly #admission: Admission;

  constructor(
    private readonly config: GatewayConfig,
    private readonly jobs: Jobs,
    private readonly catalogue: ModelCatalogue,
  ) {
    this.#admission = new Admission(jobs, config.maxQueueDepth);
  }

  /**
   * @param callerDeadlineAtMs ends the job earlier than its own time limit would; milliseconds since the epoch.
   * @returns whether the job is new: an idempotency key may have found one.
   * @throws SegueError
   */
  async submit(
    { picture, options }: SegmentationCommand,
    callerDeadlineAtMs = Infinity,
  ): Promise<{ readonly jobId: string; readonly created: boolean }> {
    const request = this.#complete(options);
    const deadlineAtMs = Math.min(this.#deadline(options.timeout_ms), callerDeadlineAtMs);
    const size = 'bytes' in picture ? await this.#inspect(picture.bytes) : await this.#find(picture.imageId);
    await this.#admission.admit();
    const imageId = 'bytes' in picture ? await this.jobs.pictures.put(picture.bytes, size) : picture.imageId;
    const { idempotency_key: idempotencyKey } = options;
    return this.jobs.producer.submit({
      request: { ...request, imageId },
      deadlineAtMs,
      ...(idempotencyKey !== undefined && { idempotencyKey }),
    });
  }

  /** @throws SegueError INVALID_ARGUMENT for what is no picture or is too large a one. */
  async storePicture(bytes: Uint8Array): Promise<StoredPicture> {
    const size = await this.#inspect(bytes);
    return { imageId: await this.jobs.pictures.put(bytes, size), ...size };
  }

  get pictureLimits(): PictureLimits {
    return pictureLimits(this.config);
  }

  #complete(options: SegmentationCommand['options']): Omit<SegmentationRequest, 'imageId'> {
    const model = this.catalogue.get(options.model);
    if (!model.modes.includes(options.mode)) {
      throw new SegueError(
        'INVALID_ARGUMENT',
        `The model ${model.name} has no mode "${options.mode}". Leave "mode" out.`,
      );
    }
    const maxTokens = options.max_tokens ?? model.maxTokens;
    if (maxTokens > model.maxTokens) {
      throw new SegueError(
        'INVALID_ARGUMENT',
        `"max_tokens" must be at most ${model.maxTokens} for the model ${model.name}.`,
      );
    }
    const { instruction, history, mode, mask_format: maskFormat, priority } = options;
    return { instruction, history, mode, model: model.name, maxTokens, maskFormat, priority };
  }

  #deadline(asked: number | undefined): number {
    const { defaultTimeoutMs, maxTimeoutMs } = this.config;
    const timeoutMs = asked ?? Math.min(defaultTimeoutMs, maxTimeoutMs);
    if (timeoutMs > maxTimeoutMs) {
      throw new SegueError('INVALID_ARGUMENT', `"timeout_ms" must be at most ${maxTimeoutMs}.`);
    }
    return Date.now() + timeoutMs;
  }

  async #inspect(bytes: Uint8Array): Promise<{ readonly width: number; readonly height: number }> {
    if (bytes.byteLength === 0)
      throw new SegueError('INVALID_ARGUMENT', 'The picture is empty. Send the bytes of its file.');
    const { width, height } = await inspectPicture(bytes, this.pictureLimits);
    return { width, height };
  }

  async #find(imageId: string): Promise<{ readonly width: number; readonly height: number }> {
    const size = await this.jobs.pictures.size(imageId);
    if (size) return size;
    throw new SegueError(
      'NOT_FOUND',
      'No picture with this "image_id" is kept any more. Send the picture itself again.',
    );
  }
}
