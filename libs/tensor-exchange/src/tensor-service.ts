import type { MethodDefinition } from '@grpc/grpc-js';
import { create, fromBinary } from '@bufbuild/protobuf';
import {
  grpcServiceDefinition,
  TensorRefSchema,
  TensorService,
  type TensorChunk,
  type TensorRef,
} from '@segue/contracts';

import { serializeChunk } from './tensor-chunks.js';

type PullDefinition = MethodDefinition<TensorRef, TensorChunk>;

/** In the place of a request that cannot be read: what a decoder throws, grpc-js would answer as a defect of the server. */
export const UNREADABLE: TensorRef = create(TensorRefSchema);

/** `segue.v1.TensorService.Pull` for grpc-js. */
export const PULL: PullDefinition = {
  ...(grpcServiceDefinition(TensorService).Pull as unknown as PullDefinition),
  requestDeserialize(bytes) {
    try {
      return fromBinary(TensorRefSchema, bytes);
    } catch {
      return UNREADABLE;
    }
  },
  responseSerialize: serializeChunk,
};
