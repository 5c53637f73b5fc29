import {
  ResponderBuilder,
  ServerInterceptingCall,
  ServerListenerBuilder,
  type Metadata,
  type ServerInterceptor,
} from '@grpc/grpc-js';
import { REQUEST_ID, requestIdOf } from '@segue/core';
import { authorizationOf, type EndedCall } from './call.js';
import { toStatus } from './status.js';

/** What is known of a call before its message. */
export interface CallHeaders {
  readonly authorization: string | undefined;
}

/** Looks at a call before its message is read. @throws SegueError to refuse it. */
export type Admit = (headers: CallHeaders) => void;

/** Refuses calls of the given services by their headers alone, so that what they send is never held. */
export function admission(
  services: readonly { readonly typeName: string }[],
  admit: Admit,
  onEnd: ((call: EndedCall) => void) | undefined,
): ServerInterceptor {
  return ({ path }, call) => {
    const [, service, method = ''] = path.split('/');
    if (!services.some(({ typeName }) => typeName === service)) return new ServerInterceptingCall(call);
    const began = performance.now();
    const receive = (metadata: Metadata, next: (metadata: Metadata) => void): void => {
      try {
        admit({ authorization: authorizationOf(metadata) });
      } catch (error) {
        const requestId = requestIdOf(metadata.get(REQUEST_ID)[0]);
        const status = toStatus(error);
        onEnd?.({ method, status: status.code, seconds: (performance.now() - began) / 1000, requestId, error });
        call.sendStatus(status);
        return;
      }
      next(metadata);
    };
    const listener = new ServerListenerBuilder().withOnReceiveMetadata(receive).build();
    return new ServerInterceptingCall(call, new ResponderBuilder().withStart((next) => next(listener)).build());
  };
}
