import {
  create,
  fromBinary,
  toBinary,
  type DescMethodServerStreaming,
  type DescMethodUnary,
  type MessageInitShape,
  type MessageShape,
} from '@bufbuild/protobuf';
import { Client, credentials, Metadata, type CallOptions, type ChannelCredentials } from '@grpc/grpc-js';
import { MaskFormat, Mode, Priority, SegmentationService, type SegmentRequestSchema } from '@segue/contracts';
import type { Answer, Job, JobEvent, Mode as ModeName, Priority as PriorityName, Turn } from '@segue/core';
import { errorFromStatus } from './errors.js';
import { toAnswer, toEvent, toJob, toModel, type Model } from './messages.js';

export interface SegueClientOptions {
  /** `host:port` of the gateway's gRPC server; `dns:///host:port` balances over its replicas. */
  readonly address: string;
  /** Plaintext unless given. */
  readonly credentials?: ChannelCredentials;
}

/** A picture: its bytes (JPEG, PNG or WebP), or the id that an earlier answer gave it. */
export type Picture = { readonly image: Uint8Array } | { readonly imageId: string };

export type SegmentOptions = Picture & {
  /** What to find, in words. */
  readonly instruction: string;
  /** Earlier turns about this picture, oldest first. */
  readonly history?: readonly Turn[];
  /** `answer` unless given. */
  readonly mode?: ModeName;
  /** Name of a model; the service's default unless given. */
  readonly model?: string;
  readonly maxTokens?: number;
  readonly priority?: PriorityName;
  /** Time allowed for the whole job; the service's default unless given. */
  readonly timeoutMs?: number;
  /** The same key with the same request gives the same job. */
  readonly idempotencyKey?: string;
};

export interface WaitOptions {
  /** Gives up; a job that was not submitted is cancelled with it. */
  readonly signal?: AbortSignal;
}

/** The service answers a job that ran out of time itself; the call waits a little longer than the job for that. */
const DEADLINE_SLACK_MS = 2_000;
const MODES = { answer: Mode.ANSWER, mask_only: Mode.MASK_ONLY } as const;
const PRIORITIES = { low: Priority.LOW, normal: Priority.NORMAL, high: Priority.HIGH } as const;

/**
 * Asks Segue about pictures over gRPC. Masks arrive as COCO RLE (`decodeMask` makes pixels of them); every failure is a
 * `SegueError` whose message says what to do.
 *
 * ```ts
 * const client = new SegueClient({ address: 'localhost:50051' });
 * const answer = await client.segment({ image: await readFile('beach.jpg'), instruction: 'What would keep me dry?' });
 * ```
 */
export class SegueClient {
  readonly #grpc: Client;

  constructor({ address, credentials: given = credentials.createInsecure() }: SegueClientOptions) {
    this.#grpc = new Client(address, given, { 'grpc.max_receive_message_length': -1 });
  }

  /** Waits until the service is reachable. @throws SegueError UNAVAILABLE after `timeoutMs`. */
  async connect({ timeoutMs = 5_000 } = {}): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#grpc.waitForReady(Date.now() + timeoutMs, (error) => (error ? reject(errorFromStatus(error)) : resolve()));
    });
  }

  /** Waits for the whole answer. */
  async segment(options: SegmentOptions, wait: WaitOptions = {}): Promise<Answer> {
    return toAnswer(await this.#ask(SegmentationService.method.segment, toRequest(options), wait, options.timeoutMs));
  }

  /** The job's events as they happen; the last one is `completed`, `failed` or `cancelled`. Leaving the loop cancels the job. */
  async *stream(options: SegmentOptions, wait: WaitOptions = {}): AsyncGenerator<JobEvent, void> {
    const { streamSegment } = SegmentationService.method;
    for await (const event of this.#follow(streamSegment, toRequest(options), wait, options.timeoutMs))
      yield toEvent(event);
  }

  /** Submits an asynchronous job, which outlives this client. */
  async submit(options: SegmentOptions, wait: WaitOptions = {}): Promise<Job> {
    return toJob(await this.#ask(SegmentationService.method.submitJob, toRequest(options), wait));
  }

  /** A job's state and, when it has ended, its answer or error. */
  async get(jobId: string, wait: WaitOptions = {}): Promise<Job> {
    return toJob(await this.#ask(SegmentationService.method.getJob, { jobId }, wait));
  }

  /** A job's events, those that have happened already included, or only those after one of them. */
  async *watch(
    jobId: string,
    options: WaitOptions & { readonly afterEventId?: string } = {},
  ): AsyncGenerator<JobEvent, void> {
    const request = { jobId, afterEventId: options.afterEventId ?? '' };
    for await (const event of this.#follow(SegmentationService.method.watchJob, request, options)) yield toEvent(event);
  }

  /** Cancels a job and returns it; a job that has ended stays as it is. */
  async cancel(jobId: string, wait: WaitOptions = {}): Promise<Job> {
    return toJob(await this.#ask(SegmentationService.method.cancelJob, { jobId }, wait));
  }

  async models(wait: WaitOptions = {}): Promise<Model[]> {
    return (await this.#ask(SegmentationService.method.listModels, {}, wait)).models.map(toModel);
  }

  close(): void {
    this.#grpc.close();
  }

  async #ask<M extends DescMethodUnary>(
    method: M,
    request: MessageInitShape<M['input']>,
    { signal }: WaitOptions,
    timeoutMs?: number,
  ): Promise<MessageShape<M['output']>> {
    signal?.throwIfAborted();
    return new Promise((resolve, reject) => {
      const call = this.#grpc.makeUnaryRequest(
        pathOf(method),
        (message: MessageShape<M['input']>) => Buffer.from(toBinary<M['input']>(method.input, message)),
        (bytes) => fromBinary<M['output']>(method.output, bytes),
        create<M['input']>(method.input, request),
        new Metadata(),
        deadline(timeoutMs),
        (error, reply) => {
          signal?.removeEventListener('abort', cancel);
          if (reply) resolve(reply);
          else reject(errorFromStatus(error));
        },
      );
      const cancel = (): void => call.cancel();
      signal?.addEventListener('abort', cancel, { once: true });
    });
  }

  async *#follow<M extends DescMethodServerStreaming>(
    method: M,
    request: MessageInitShape<M['input']>,
    { signal }: WaitOptions,
    timeoutMs?: number,
  ): AsyncGenerator<MessageShape<M['output']>, void> {
    signal?.throwIfAborted();
    const stream = this.#grpc.makeServerStreamRequest(
      pathOf(method),
      (message: MessageShape<M['input']>) => Buffer.from(toBinary<M['input']>(method.input, message)),
      (bytes) => fromBinary<M['output']>(method.output, bytes),
      create<M['input']>(method.input, request),
      new Metadata(),
      deadline(timeoutMs),
    );
    const cancel = (): void => stream.cancel();
    signal?.addEventListener('abort', cancel, { once: true });
    // The loop below reports errors; a cancelled stream emits one more when nobody reads it any longer.
    stream.on('error', () => undefined);
    try {
      yield* stream as AsyncIterable<MessageShape<M['output']>>;
    } catch (error) {
      throw errorFromStatus(error);
    } finally {
      signal?.removeEventListener('abort', cancel);
      cancel();
    }
  }
}

function toRequest(options: SegmentOptions): MessageInitShape<typeof SegmentRequestSchema> {
  return {
    picture: 'image' in options ? { case: 'image', value: options.image } : { case: 'imageId', value: options.imageId },
    instruction: options.instruction,
    history: (options.history ?? []).map((turn) => ({ ...turn })),
    mode: MODES[options.mode ?? 'answer'],
    model: options.model ?? '',
    maxTokens: options.maxTokens ?? 0,
    maskFormat: MaskFormat.RLE,
    priority: PRIORITIES[options.priority ?? 'normal'],
    timeoutMs: BigInt(options.timeoutMs ?? 0),
    idempotencyKey: options.idempotencyKey ?? '',
  };
}

function pathOf(method: DescMethodUnary | DescMethodServerStreaming): string {
  return `/${method.parent.typeName}/${method.name}`;
}

function deadline(timeoutMs: number | undefined): CallOptions {
  return timeoutMs === undefined ? {} : { deadline: Date.now() + timeoutMs + DEADLINE_SLACK_MS };
}
