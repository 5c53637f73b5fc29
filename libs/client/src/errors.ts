import { ERROR_CODES, SegueError, type ErrorCode, type ErrorReason } from '@segue/core';

/** The body of a refusal, application/problem+json (RFC 9457). */
interface Problem {
  readonly code?: string;
  readonly detail?: string;
  readonly reason?: ErrorReason;
  readonly details?: Readonly<Record<string, unknown>>;
}

/** Statuses that this service does not use itself, or for several causes: proxies in front of it do. */
const CODE_OF_STATUS: Readonly<Record<number, ErrorCode>> = {
  408: 'DEADLINE_EXCEEDED',
  413: 'INVALID_ARGUMENT',
  415: 'INVALID_ARGUMENT',
  502: 'UNAVAILABLE',
};
const REASON_OF_STATUS: Readonly<Record<number, ErrorReason>> = { 413: 'TOO_LARGE', 415: 'NOT_A_PICTURE' };

/** The error that a response of another status than 2xx stands for. Reads its body. */
export async function errorFromResponse(response: Response): Promise<SegueError> {
  const { status } = response;
  const problem = await readProblem(response);
  const reason = problem.reason ?? REASON_OF_STATUS[status];
  const retryAfterMs = parseRetryAfter(response.headers.get('retry-after'));
  return new SegueError(
    isErrorCode(problem.code) ? problem.code : codeOf(status),
    problem.detail ?? `The server answered with status ${status}. Is this the address of a Segue service?`,
    {
      ...(reason && { reason }),
      ...(problem.details && { details: problem.details }),
      ...(retryAfterMs !== undefined && { retryAfterMs }),
    },
  );
}

export function isErrorCode(code: unknown): code is ErrorCode {
  return typeof code === 'string' && code in ERROR_CODES;
}

async function readProblem(response: Response): Promise<Problem> {
  try {
    const body: unknown = await response.json();
    return typeof body === 'object' && body !== null ? body : {};
  } catch {
    return {}; // a page of some proxy
  }
}

function codeOf(status: number): ErrorCode {
  const codes = Object.keys(ERROR_CODES) as ErrorCode[];
  const known = CODE_OF_STATUS[status] ?? codes.find((code) => ERROR_CODES[code].http === status);
  return known ?? (status >= 500 ? 'INTERNAL' : 'INVALID_ARGUMENT');
}

/** Seconds, or a date (RFC 9110, section 10.2.3). */
function parseRetryAfter(header: string | null): number | undefined {
  if (header === null) return undefined;
  const waitMs = /^\d+$/.test(header) ? Number(header) * 1000 : Date.parse(header) - Date.now();
  return Number.isNaN(waitMs) ? undefined : Math.max(0, waitMs);
}
