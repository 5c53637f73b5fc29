import type { MethodDefinition } from '@grpc/grpc-js';
import { grpcServiceDefinition, TensorService, type TensorChunk, type TensorRef } from '@segue/contracts';

import { serializeChunk } from './tensor-chunks.js';

type PullDefinition = MethodDefinition<TensorRef, TensorChunk>;

/** `segue.v1.TensorService.Pull` for grpc-js. */
export const PULL: PullDefinition = {
  ...(grpcServiceDefinition(TensorService).Pull as unknown as PullDefinition),
  responseSerialize: serializeChunk,
};
