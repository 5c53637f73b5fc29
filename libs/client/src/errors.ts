import { type ServiceError } from '@grpc/grpc-js';
import { ERROR_METADATA_KEY } from '@segue/contracts';
import { ERROR_CODES, SegueError, type ErrorBody, type ErrorCode, type ErrorReason } from '@segue/core';

interface SentError extends ErrorBody {
  readonly reason?: ErrorReason;
  readonly retryAfterMs?: number;
}

/** The error that the service sent, or what gRPC itself says when the service could not. */
export function errorFromStatus(cause: unknown): SegueError {
  if (cause instanceof SegueError) return cause;
  if (!isServiceError(cause)) return SegueError.from(cause);
  const [sent] = cause.metadata.get(ERROR_METADATA_KEY);
  if (sent !== undefined) {
    const { code, message, ...options } = JSON.parse(sent.toString()) as SentError;
    return new SegueError(code, message, { ...options, cause });
  }
  return new SegueError(codeOf(cause.code), cause.details, { cause });
}

function codeOf(status: number): ErrorCode {
  const codes = Object.keys(ERROR_CODES) as ErrorCode[];
  return codes.find((code) => ERROR_CODES[code].grpc === status) ?? 'INTERNAL';
}

function isServiceError(error: unknown): error is ServiceError {
  return error instanceof Error && 'code' in error && 'details' in error && 'metadata' in error;
}
