import { describe, expect, it } from 'vitest';
import { ERROR_CODES, SegueError, type ErrorCode } from './errors.js';

describe('SegueError', () => {
  it.each([
    ['INVALID_ARGUMENT', 3, 400],
    ['DEADLINE_EXCEEDED', 4, 504],
    ['NOT_FOUND', 5, 404],
    ['RESOURCE_EXHAUSTED', 8, 429],
    ['UNAVAILABLE', 14, 503],
  ] as const)('%s is %i in gRPC and %i in HTTP', (code, grpc, http) => {
    const error = new SegueError(code, 'message');
    expect([error.grpcStatus, error.httpStatus]).toEqual([grpc, http]);
  });

  it('has a gRPC status of its own for each code', () => {
    const numbers = Object.values(ERROR_CODES).map(({ grpc }) => grpc);
    expect(new Set(numbers).size).toBe(numbers.length);
  });

  it.each([
    ['TOO_LARGE', 413],
    ['NOT_A_PICTURE', 415],
  ] as const)('%s has the HTTP status %i', (reason, status) => {
    expect(new SegueError('INVALID_ARGUMENT', 'message', { reason }).httpStatus).toBe(status);
  });

  it('is tried again only when something was unavailable', () => {
    const codes = Object.keys(ERROR_CODES) as ErrorCode[];
    expect(codes.filter((code) => new SegueError(code, 'message').retryable)).toEqual(['UNAVAILABLE']);
  });

  it('passes itself through', () => {
    const error = new SegueError('CANCELLED', 'The job was cancelled.');
    expect(SegueError.from(error)).toBe(error);
  });

  it('keeps what went wrong inside to itself', () => {
    const cause = new Error('connect ECONNREFUSED 10.0.0.7:6379');
    const error = SegueError.from(cause);
    expect(error).toMatchObject({ code: 'INTERNAL', cause });
    expect(JSON.stringify(error)).not.toContain('ECONNREFUSED');
  });

  it('is stored with code, message and details alone', () => {
    const error = new SegueError('RESOURCE_EXHAUSTED', 'Wait.', {
      details: { limit: 3 },
      retryAfterMs: 500,
      cause: 'x',
    });
    expect(JSON.parse(JSON.stringify(error))).toEqual({
      code: 'RESOURCE_EXHAUSTED',
      message: 'Wait.',
      details: { limit: 3 },
    });
  });
});
