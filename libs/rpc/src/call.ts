import { Metadata, type ServerUnaryCall, type ServerWritableStream } from '@grpc/grpc-js';
import { REQUEST_ID, requestIdOf, SegueError } from '@segue/core';

/** What a handler knows about its call besides the request. */
export interface CallContext {
  /** Aborted when the client goes away (reason: CANCELLED) or its deadline passes (DEADLINE_EXCEEDED) before the reply. */
  readonly signal: AbortSignal;
  /** The client's deadline in milliseconds since the epoch; Infinity when it set none. */
  readonly deadlineAtMs: number;
  /** The client's `x-request-id`, else a new one; sent back in the initial metadata. */
  readonly requestId: string;
  /** The header `authorization`, if there is one. */
  readonly authorization: string | undefined;
}

/** A call that has ended. */
export interface EndedCall {
  readonly method: string;
  /** Number of the gRPC status. */
  readonly status: number;
  readonly seconds: number;
  readonly requestId: string;
  /** What the handler threw. */
  readonly error?: unknown;
}

type ServerCall = ServerUnaryCall<never, never> | ServerWritableStream<never, never>;

/** A call from its arrival until its reply. */
export class OpenCall implements CallContext {
  readonly #controller = new AbortController();
  readonly signal: AbortSignal = this.#controller.signal;
  readonly deadlineAtMs: number;
  readonly requestId: string;
  readonly authorization: string | undefined;
  #replied = false;

  constructor(call: ServerCall) {
    this.deadlineAtMs = Number(call.getDeadline());
    this.requestId = requestIdOf(call.metadata.get(REQUEST_ID)[0]);
    this.authorization = authorizationOf(call.metadata);
    const metadata = new Metadata();
    metadata.set(REQUEST_ID, this.requestId);
    call.sendMetadata(metadata);
    // grpc-js also emits `cancelled` after a successful reply.
    call.on('cancelled', () => {
      if (!this.#replied) this.#controller.abort(this.#whyGone());
    });
  }

  /** To be called before the reply is sent. */
  close(): void {
    this.#replied = true;
  }

  #whyGone(): SegueError {
    return Date.now() >= this.deadlineAtMs - TRANSIT_MS
      ? new SegueError('DEADLINE_EXCEEDED', 'The deadline passed before the answer was ready. Allow more time.')
      : new SegueError('CANCELLED', 'The client cancelled the call.');
  }
}

export function authorizationOf(metadata: Metadata): string | undefined {
  const [value] = metadata.get('authorization');
  return value?.toString();
}

/** A deadline travels as the time that is left, which starts anew on arrival: the client's own ends so much earlier. */
const TRANSIT_MS = 100;
