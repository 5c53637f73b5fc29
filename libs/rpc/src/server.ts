import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import type { DescMethod, DescService, Message, MessageShape } from '@bufbuild/protobuf';
import {
  Server,
  ServerCredentials,
  status as Status,
  type Metadata,
  type sendUnaryData,
  type ServerUnaryCall,
  type ServerWritableStream,
  type UntypedServiceImplementation,
} from '@grpc/grpc-js';
import { grpcServiceDefinition } from '@segue/contracts';
import { hostPort } from '@segue/core';
import { inSpan, SpanKind } from '@segue/tracing';
import { HealthImplementation } from 'grpc-health-check';
import { admission, type Admit } from './admit.js';
import { OpenCall, type CallContext, type EndedCall } from './call.js';
import { decoderOf, Unreadable } from './decode.js';
import { addReflection } from './reflection.js';
import { toStatus } from './status.js';
import { refuseUnknownFields } from './unknown-fields.js';

/** What a method's handler looks like: a promise for one reply, an async iterable for a stream. Errors are SegueErrors. */
export type Handler<M extends DescMethod> = M['methodKind'] extends 'unary'
  ? (request: MessageShape<M['input']>, call: CallContext) => Promise<MessageShape<M['output']>>
  : (request: MessageShape<M['input']>, call: CallContext) => AsyncIterable<MessageShape<M['output']>>;

export type Handlers<S extends DescService> = { readonly [K in keyof S['method']]: Handler<S['method'][K]> };

export interface RpcServerOptions {
  readonly maxReceiveBytes: number;
  /** Whether the server tells what it offers (grpc.reflection.v1); not unless it is set. */
  readonly reflection?: boolean;
  /** Without TLS unless given. */
  readonly credentials?: ServerCredentials | undefined;
  /** Looks at the calls of the services that were added, before their messages are read. */
  readonly admit?: Admit;
  /** Time allowed for the message of a call that is admitted to arrive, in milliseconds; any unless given. */
  readonly receiveTimeoutMs?: number;
  /** Calls that may be open at the same time on one connection; any number unless given. */
  readonly maxStreams?: number;
  readonly onEnd?: (call: EndedCall) => void;
}

/** A gRPC server over protobuf-es messages with health (grpc.health.v1) and, where it is wanted, reflection. */
export class RpcServer {
  readonly #server: Server;
  readonly #health = new HealthImplementation({ '': 'NOT_SERVING' });
  readonly #services: DescService[] = [];
  readonly #options: RpcServerOptions;
  readonly #credentials: ServerCredentials;

  constructor(options: RpcServerOptions) {
    this.#options = options;
    this.#credentials = options.credentials ?? ServerCredentials.createInsecure();
    this.#server = new Server({
      'grpc.max_receive_message_length': options.maxReceiveBytes,
      'grpc.max_send_message_length': -1,
      ...(options.maxStreams !== undefined && { 'grpc.max_concurrent_streams': options.maxStreams }),
      ...(options.admit && { interceptors: [admission(this.#services, options.admit, options)] }),
    });
  }

  add<S extends DescService>(service: S, handlers: Handlers<S>): this {
    const implementation: UntypedServiceImplementation = {};
    for (const method of service.methods) {
      const handler = handlers[method.localName as keyof S['method']] as unknown;
      implementation[method.name] =
        method.methodKind === 'unary'
          ? this.#unary(method, handler as UnaryHandler)
          : this.#stream(method, handler as StreamHandler);
    }
    const definition = Object.fromEntries(
      service.methods.map((method) => [
        method.name,
        { ...grpcServiceDefinition(service)[method.name], requestDeserialize: decoderOf(method.input) },
      ]),
    );
    this.#server.addService(definition as never, implementation);
    this.#services.push(service);
    this.setServing(false);
    return this;
  }

  /** Listens and returns the port. Health says NOT_SERVING until `setServing(true)`. */
  async listen(host: string, port: number): Promise<number> {
    this.#health.addToServer(this.#server);
    if (this.#options.reflection) addReflection(this.#server, this.#services);
    return new Promise((resolve, reject) => {
      this.#server.bindAsync(hostPort(host, port), this.#credentials, (error, bound) => {
        if (error) reject(error);
        else resolve(bound);
      });
    });
  }

  /** What health answers, for the whole server and for each service. */
  setServing(serving: boolean): void {
    for (const name of ['', ...this.#services.map((service) => service.typeName)]) {
      this.#health.setStatus(name, serving ? 'SERVING' : 'NOT_SERVING');
    }
  }

  /** Accepts no more calls, lets open ones end within `graceMs`, then cuts them off. */
  async close(graceMs: number): Promise<void> {
    this.setServing(false);
    const done = new Promise<void>((resolve) => this.#server.tryShutdown(() => resolve()));
    await Promise.race([done, sleep(graceMs, undefined, { ref: false })]);
    this.#server.forceShutdown();
  }

  #unary(method: DescMethod, handler: UnaryHandler) {
    return (call: ServerUnaryCall<Message | Unreadable, Message>, reply: sendUnaryData<Message>): void => {
      const open = new OpenCall(call as never);
      const ended = this.#watch(method, open);
      const run = async (): Promise<void> => {
        try {
          const response = await handler(readable(method, call.request), open);
          open.close();
          ended();
          reply(null, response);
        } catch (error) {
          open.close();
          ended(error);
          reply(toStatus(error));
        }
      };
      void this.#traced(method, call.metadata, run);
    };
  }

  #stream(method: DescMethod, handler: StreamHandler) {
    return (call: ServerWritableStream<Message | Unreadable, Message>): void => {
      const open = new OpenCall(call as never);
      const ended = this.#watch(method, open);
      const run = async (): Promise<void> => {
        try {
          for await (const message of handler(readable(method, call.request), open)) {
            open.signal.throwIfAborted();
            if (!call.write(message)) await once(call, 'drain', { signal: open.signal });
          }
          open.close();
          ended();
          call.end();
        } catch (error) {
          const reason = open.signal.aborted ? open.signal.reason : error;
          open.close();
          ended(reason);
          call.emit('error', toStatus(reason));
        }
      };
      void this.#traced(method, call.metadata, run);
    };
  }

  #traced({ name, parent }: DescMethod, metadata: Metadata, run: () => Promise<void>): Promise<void> {
    return inSpan(`${parent.typeName}/${name}`, { kind: SpanKind.SERVER, from: metadata.getMap() }, run);
  }

  #watch(method: DescMethod, call: CallContext): (error?: unknown) => void {
    const began = performance.now();
    return (error) => {
      this.#options.onEnd?.({
        method: method.name,
        status: error === undefined ? Status.OK : toStatus(error).code,
        seconds: (performance.now() - began) / 1000,
        requestId: call.requestId,
        ...(error === undefined ? {} : { error }),
      });
    };
  }
}

/** @throws SegueError INVALID_ARGUMENT */
function readable(method: DescMethod, request: Message | Unreadable): Message {
  if (request instanceof Unreadable) throw request.error;
  refuseUnknownFields(method.input, request);
  return request;
}

type UnaryHandler = (request: Message, call: CallContext) => Promise<Message>;
type StreamHandler = (request: Message, call: CallContext) => AsyncIterable<Message>;
