import { create, type Message } from '@bufbuild/protobuf';
import { Client, credentials, Metadata, type ClientReadableStream, type ServiceError } from '@grpc/grpc-js';
import * as v1 from '@segue/contracts';
import type { Answer, Job, JobEvent } from '@segue/core';

import { answerFrom, errorFrom, eventFrom, jobFrom } from './from-proto.js';
import { requestMessage, type SegmentInput } from './request.js';

const METHODS = v1.grpcServiceDefinition(v1.SegmentationService);
const MAX_MESSAGE_BYTES = 64 * 1024 * 1024;

export interface CallOptions {
  /** Ends the call; a job that the call waits for is cancelled. */
  readonly signal?: AbortSignal;
  /** Time allowed for the call, in milliseconds. */
  readonly timeoutMs?: number;
}

/** A connection to a running service over gRPC. Errors are `SegueError`s with the service's code and sentence. */
export class SegueClient {
  readonly #client: Client;

  /** @param address host:port, e.g. `127.0.0.1:50051`. The connection is made at the first call. */
  constructor(address: string) {
    this.#client = new Client(address, credentials.createInsecure(), {
      'grpc.max_receive_message_length': MAX_MESSAGE_BYTES,
      'grpc.max_send_message_length': MAX_MESSAGE_BYTES,
    });
  }

  /** Waits for the whole answer. */
  async segment(input: SegmentInput, options?: CallOptions): Promise<Answer> {
    return answerFrom(await this.#unary<v1.Answer>('Segment', requestMessage(input), options));
  }

  /** Events as they happen, the last one being `completed`, `failed` or `cancelled`. Leaving the loop cancels the job. */
  async *stream(input: SegmentInput, options?: CallOptions): AsyncGenerator<JobEvent> {
    yield* this.#events('StreamSegment', requestMessage(input), options);
  }

  /** Accepts an asynchronous job; `watch` follows it. */
  async submit(input: SegmentInput, options?: CallOptions): Promise<Job> {
    return jobFrom(await this.#unary<v1.Job>('SubmitJob', requestMessage(input), options));
  }

  /** State of a job and, when it has ended, its answer or error. */
  async job(jobId: string, options?: CallOptions): Promise<Job> {
    return jobFrom(await this.#unary<v1.Job>('GetJob', create(v1.GetJobRequestSchema, { jobId }), options));
  }

  /** A job's events after the given one, or all of them. Leaving the loop leaves the job alone. */
  async *watch(jobId: string, afterEventId = '', options?: CallOptions): AsyncGenerator<JobEvent> {
    yield* this.#events('WatchJob', create(v1.WatchJobRequestSchema, { jobId, afterEventId }), options);
  }

  /** Cancels a job; one that has ended stays as it is. */
  async cancel(jobId: string, options?: CallOptions): Promise<Job> {
    return jobFrom(await this.#unary<v1.Job>('CancelJob', create(v1.CancelJobRequestSchema, { jobId }), options));
  }

  /** Models that the service can answer with. */
  async models(options?: CallOptions): Promise<v1.Model[]> {
    const request = create(v1.ListModelsRequestSchema);
    return (await this.#unary<v1.ListModelsResponse>('ListModels', request, options)).models;
  }

  close(): void {
    this.#client.close();
  }

  #unary<R>(name: string, request: Message, options?: CallOptions): Promise<R> {
    const { path, requestSerialize, responseDeserialize } = method(name);
    return new Promise((resolve, reject) => {
      const call = this.#client.makeUnaryRequest(
        path,
        requestSerialize,
        responseDeserialize,
        request,
        new Metadata(),
        deadline(options),
        (error, response) => {
          options?.signal?.removeEventListener('abort', cancel);
          if (error) reject(errorFrom(error));
          else resolve(response as R);
        },
      );
      const cancel = () => call.cancel();
      options?.signal?.addEventListener('abort', cancel, { once: true });
      if (options?.signal?.aborted) cancel();
    });
  }

  async *#events(name: string, request: Message, options?: CallOptions): AsyncGenerator<JobEvent> {
    const { path, requestSerialize, responseDeserialize } = method(name);
    const call = this.#client.makeServerStreamRequest(
      path,
      requestSerialize,
      responseDeserialize,
      request,
      new Metadata(),
      deadline(options),
    ) as ClientReadableStream<unknown>;
    const cancel = () => call.cancel();
    options?.signal?.addEventListener('abort', cancel, { once: true });
    if (options?.signal?.aborted) cancel();
    try {
      for await (const event of call) yield eventFrom(event as v1.JobEvent);
    } catch (error) {
      throw errorFrom(error as ServiceError);
    } finally {
      options?.signal?.removeEventListener('abort', cancel);
      // Without this, a loop that is left early keeps the call, and the job, alive.
      call.on('error', () => undefined);
      call.cancel();
    }
  }
}

function method(name: string) {
  const definition = METHODS[name];
  if (!definition) throw new Error(`${v1.SegmentationService.typeName} has no method ${name}.`);
  return definition;
}

function deadline(options?: CallOptions): { deadline?: number } {
  return options?.timeoutMs === undefined ? {} : { deadline: Date.now() + options.timeoutMs };
}
