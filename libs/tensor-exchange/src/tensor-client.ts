import { create } from '@bufbuild/protobuf';
import {
  Client,
  credentials,
  Metadata,
  status,
  type ChannelCredentials,
  type ChannelOptions,
  type ServiceError,
} from '@grpc/grpc-js';
import { TensorRefSchema, type TensorChunk } from '@segue/contracts';
import { SegueError } from '@segue/core';
import type { PullOptions } from '@segue/stages';
import { releaseMemory, type Tensor } from '@segue/tensors';
import { inSpan, SpanKind, traceHeaders } from '@segue/tracing';
import { LRUCache } from 'lru-cache';

import { CHUNK_BYTES, TensorAssembly } from './tensor-chunks.js';
import type { TensorDirectory } from './tensor-directory.js';
import { PULL } from './tensor-service.js';

export interface TensorClientOptions {
  /** How owners are recognised; without TLS unless given. */
  readonly tls?: { readonly credentials: ChannelCredentials; readonly options: ChannelOptions } | undefined;
  /** An owner that has failed is struck off here. */
  readonly directory?: Pick<TensorDirectory, 'drop'>;
  /** An owner that sends nothing for so long counts as gone. */
  readonly silenceMs?: number;
  /** Told of each tensor that has arrived, for metrics. */
  readonly onPulled?: (pulled: { readonly name: string; readonly bytes: number; readonly ms: number }) => void;
}

const MAX_OWNERS = 64;
const CHANNEL_OPTIONS = {
  // The receiver's window decides the speed of a download; the default of 64 KiB stalls on every round trip.
  'grpc-node.flow_control_window': 8 << 20,
  'grpc.max_receive_message_length': 2 * CHUNK_BYTES,
  'grpc.enable_http_proxy': 0,
};

/** Pulls tensors from the workers that hold them, over one connection to each. */
export class TensorClient {
  readonly #channels = new LRUCache<string, Client>({ max: MAX_OWNERS, dispose: (client) => client.close() });
  readonly #options: TensorClientOptions;
  readonly #silenceMs: number;

  constructor(options: TensorClientOptions = {}) {
    this.#options = options;
    this.#silenceMs = options.silenceMs ?? 5_000;
  }

  /**
   * @param owner `host:port`
   * @throws SegueError UNAVAILABLE with reason TENSOR_GONE when the owner is gone or does not hold them (any more),
   * DEADLINE_EXCEEDED, or the signal's reason.
   */
  async pull<N extends string>(
    owner: string,
    key: string,
    names: readonly N[],
    options: PullOptions,
  ): Promise<Record<N, Tensor>> {
    const failed = new AbortController();
    const signal = options.signal ? AbortSignal.any([options.signal, failed.signal]) : failed.signal;
    try {
      const tensors = await Promise.all(
        names.map((name) =>
          inSpan('pull', { kind: SpanKind.CLIENT, attributes: { 'segue.tensor': name, 'server.address': owner } }, () =>
            this.#pullOne(owner, key, name, options.deadlineAtMs, signal),
          ),
        ),
      );
      return Object.fromEntries(names.map((name, i) => [name, tensors[i]])) as Record<N, Tensor>;
    } catch (error) {
      // The others are of no use any more.
      failed.abort(error);
      if (error instanceof SegueError && error.reason === 'TENSOR_GONE') {
        // A channel that has failed waits before it connects again, even to a worker that has come back meanwhile.
        this.#channels.delete(owner);
        await this.#options.directory?.drop(key, owner);
      }
      throw error;
    }
  }

  close(): void {
    this.#channels.clear();
  }

  async #pullOne(owner: string, key: string, name: string, deadlineAtMs: number, signal: AbortSignal): Promise<Tensor> {
    signal.throwIfAborted();
    const startedAt = performance.now();
    const request = create(TensorRefSchema, { key, name });
    const call = this.#channel(owner).makeServerStreamRequest(
      PULL.path,
      PULL.requestSerialize,
      PULL.responseDeserialize,
      request,
      Metadata.fromHttp2Headers(traceHeaders()),
      { deadline: deadlineAtMs },
    );
    // Errors reach the loop below; one that comes after it has ended, such as our own cancelling, has nobody to hear it.
    call.on('error', () => undefined);
    const cancel = () => call.cancel();
    signal.addEventListener('abort', cancel, { once: true });
    let silent = false;
    const silence = setTimeout(() => {
      silent = true;
      call.cancel();
    }, this.#silenceMs);
    try {
      const assembly = new TensorAssembly();
      for await (const chunk of call) {
        const { data } = chunk as TensorChunk;
        assembly.add(chunk as TensorChunk);
        // The chunk is a view on its message, which grpc-js put together for us alone.
        releaseMemory(new Uint8Array(data.buffer));
        silence.refresh();
      }
      const tensor = assembly.finish();
      this.#options.onPulled?.({ name, bytes: tensor.data.byteLength, ms: performance.now() - startedAt });
      return tensor;
    } catch (error) {
      call.cancel();
      if (signal.aborted) throw signal.reason;
      throw silent ? tensorGone(error) : toSegueError(error);
    } finally {
      clearTimeout(silence);
      signal.removeEventListener('abort', cancel);
    }
  }

  #channel(owner: string): Client {
    const known = this.#channels.get(owner);
    if (known) return known;
    const { tls } = this.#options;
    const client = new Client(owner, tls?.credentials ?? credentials.createInsecure(), {
      ...CHANNEL_OPTIONS,
      ...tls?.options,
    });
    this.#channels.set(owner, client);
    return client;
  }
}

function tensorGone(cause: unknown): SegueError {
  return new SegueError('UNAVAILABLE', 'The encoded picture was lost. Try again.', { reason: 'TENSOR_GONE', cause });
}

function toSegueError(error: unknown): SegueError {
  switch ((error as Partial<ServiceError>).code) {
    case status.NOT_FOUND:
    case status.UNAVAILABLE:
      return tensorGone(error);
    case status.DEADLINE_EXCEEDED:
      return new SegueError(
        'DEADLINE_EXCEEDED',
        'The job was not done by its deadline. Allow more time, or ask again later.',
        {
          cause: error,
        },
      );
    default:
      return SegueError.from(error);
  }
}
