import type { ErrorBody, ErrorCode } from '@segue/core';

const TYPES: Partial<Record<ErrorCode, string>> = {
  INVALID_ARGUMENT: 'invalid_request_error',
  ALREADY_EXISTS: 'invalid_request_error',
  NOT_FOUND: 'invalid_request_error',
  UNIMPLEMENTED: 'invalid_request_error',
  UNAUTHENTICATED: 'authentication_error',
  PERMISSION_DENIED: 'permission_error',
  RESOURCE_EXHAUSTED: 'rate_limit_error',
};

/** A failure as OpenAI's clients parse it. */
export function toOpenAiError({ code, message }: Pick<ErrorBody, 'code' | 'message'>) {
  return { error: { message, type: TYPES[code] ?? 'server_error', param: null, code: code.toLowerCase() } };
}
