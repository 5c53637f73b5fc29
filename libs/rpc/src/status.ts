import { Metadata, type StatusObject } from '@grpc/grpc-js';
import { ERROR_METADATA_KEY } from '@segue/contracts';
import { SegueError } from '@segue/core';

/**
 * The gRPC status of an error. Its message is the status's details; the whole error (code, reason, details,
 * retryAfterMs) rides along as JSON in the trailer `segue-error-bin`.
 */
export function toStatus(error: unknown): StatusObject {
  const known = SegueError.from(error);
  const metadata = new Metadata();
  const body = { ...known.toJSON(), reason: known.reason, retryAfterMs: known.retryAfterMs };
  metadata.set(ERROR_METADATA_KEY, Buffer.from(JSON.stringify(body)));
  return { code: known.grpcStatus, details: known.message, metadata };
}
