import { constants, type ServerHttp2Stream } from 'node:http2';
import {
  ResponderBuilder,
  ServerInterceptingCall,
  ServerListenerBuilder,
  type Metadata,
  type ServerInterceptingCallInterface,
  type ServerInterceptor,
} from '@grpc/grpc-js';
import { REQUEST_ID, requestIdOf, SegueError } from '@segue/core';
import { authorizationOf, type EndedCall } from './call.js';
import { toStatus } from './status.js';

/** What is known of a call before its message. */
export interface CallHeaders {
  readonly authorization: string | undefined;
}

/** Counts what is held of a call's message, from its first byte on. */
export interface Receiving {
  /** @throws SegueError to refuse the call. */
  add(bytes: number): void;
  /** Called once, when the call has ended. */
  close(): void;
}

/** Looks at a call before its message is read. @throws SegueError to refuse it. */
export type Admit = (headers: CallHeaders) => Receiving | undefined;

export interface AdmissionOptions {
  readonly receiveTimeoutMs?: number;
  readonly onEnd?: (call: EndedCall) => void;
}

/** Refuses calls of the given services by their headers, or by what has come of their message, so that no more of it is held. */
export function admission(
  services: readonly { readonly typeName: string }[],
  admit: Admit,
  { receiveTimeoutMs, onEnd }: AdmissionOptions,
): ServerInterceptor {
  return ({ path }, call) => {
    const [, service, method = ''] = path.split('/');
    if (!services.some(({ typeName }) => typeName === service)) return new ServerInterceptingCall(call);
    const began = performance.now();
    const receive = (metadata: Metadata, next: (metadata: Metadata) => void): void => {
      const refuse = (error: unknown): void => {
        const requestId = requestIdOf(metadata.get(REQUEST_ID)[0]);
        const status = toStatus(error);
        onEnd?.({ method, status: status.code, seconds: (performance.now() - began) / 1000, requestId, error });
        call.sendStatus(status);
      };
      try {
        const receiving = admit({ authorization: authorizationOf(metadata) });
        if (receiving) watchMessage(call, receiving, receiveTimeoutMs, refuse);
      } catch (error) {
        refuse(error);
        return;
      }
      next(metadata);
    };
    const listener = new ServerListenerBuilder().withOnReceiveMetadata(receive).build();
    return new ServerInterceptingCall(call, new ResponderBuilder().withStart((next) => next(listener)).build());
  };
}

/** grpc-js tells of a message when all of it is there. What has come so far is seen at its stream alone, which its types hide. */
function watchMessage(
  call: ServerInterceptingCallInterface,
  receiving: Receiving,
  timeoutMs: number | undefined,
  refuse: (error: unknown) => void,
): void {
  const { stream } = call as unknown as { readonly stream: ServerHttp2Stream };
  const count = ({ byteLength }: Buffer): void => {
    try {
      receiving.add(byteLength);
    } catch (error) {
      end(error);
    }
  };
  const end = (error?: unknown): void => {
    clearTimeout(timer);
    stream.off('data', count);
    if (error === undefined) return;
    refuse(error);
    // What has come is held until the client has no more to send, or may send no more (RFC 9113, 8.1).
    stream.close(constants.NGHTTP2_NO_ERROR);
  };
  const timer =
    timeoutMs === undefined
      ? undefined
      : setTimeout(
          () => end(new SegueError('DEADLINE_EXCEEDED', 'The request took too long to arrive. Send it again.')),
          timeoutMs,
        );
  stream.on('data', count);
  stream.once('end', () => end());
  stream.once('close', () => {
    end();
    receiving.close();
  });
}
