import { once } from 'node:events';

import { Server, ServerCredentials, status, type ServerWritableStream } from '@grpc/grpc-js';
import type { TensorChunk, TensorRef } from '@segue/contracts';
import { hostPort } from '@segue/core';

import { inSpan, SpanKind } from '@segue/tracing';
import { chunksOf } from './tensor-chunks.js';
import { PULL, UNREADABLE } from './tensor-service.js';
import type { TensorStore } from './tensor-store.js';

export interface TensorServerOptions {
  /** Address to listen on. */
  readonly host: string;
  /** 0 for any that is free. */
  readonly port: number;
  /** Without TLS unless given. */
  readonly credentials?: ServerCredentials | undefined;
  readonly onError: (error: unknown) => void;
}

export interface TensorServer {
  readonly port: number;
  /** Lets streams end for `graceMs`, then cuts them. */
  close(options: { readonly graceMs: number }): Promise<void>;
}

/** Requests name a tensor and nothing else. */
const MAX_REQUEST_BYTES = 16 << 10;

/** Serves a store's tensors to other workers. */
export async function startTensorServer(store: TensorStore, options: TensorServerOptions): Promise<TensorServer> {
  const server = new Server({ 'grpc.max_receive_message_length': MAX_REQUEST_BYTES });
  const pull = (call: ServerWritableStream<TensorRef, TensorChunk>) => {
    const span = { kind: SpanKind.SERVER, from: call.metadata.getMap() };
    inSpan('send', span, () => send(call, store)).catch((error: unknown) => {
      if (call.cancelled) return;
      options.onError(error);
      call.emit('error', { code: status.INTERNAL, details: 'The tensor could not be sent.' });
    });
  };
  server.addService({ Pull: PULL }, { Pull: pull });
  const port = await new Promise<number>((resolve, reject) => {
    const address = hostPort(options.host, options.port);
    server.bindAsync(address, options.credentials ?? ServerCredentials.createInsecure(), (error, bound) =>
      error ? reject(error) : resolve(bound),
    );
  });
  return { port, close: ({ graceMs }) => shutDown(server, graceMs) };
}

async function send(call: ServerWritableStream<TensorRef, TensorChunk>, store: TensorStore): Promise<void> {
  if (call.request === UNREADABLE) {
    call.emit('error', { code: status.INVALID_ARGUMENT, details: 'What was sent is no TensorRef.' });
    return;
  }
  const { key, name } = call.request;
  const set = store.get(key) ?? {};
  // Not what every object inherits, such as `constructor`.
  const tensor = Object.hasOwn(set, name) ? set[name] : undefined;
  if (!tensor) {
    call.emit('error', { code: status.NOT_FOUND, details: 'This worker does not hold the tensor.' });
    return;
  }
  const gone = new AbortController();
  call.once('cancelled', () => gone.abort());
  for (const chunk of chunksOf(tensor)) {
    if (call.cancelled) return;
    if (!call.write(chunk)) await once(call, 'drain', { signal: gone.signal });
  }
  call.end();
}

function shutDown(server: Server, graceMs: number): Promise<void> {
  return new Promise((resolve) => {
    const cut = setTimeout(() => server.forceShutdown(), graceMs);
    server.tryShutdown(() => {
      clearTimeout(cut);
      resolve();
    });
  });
}
