/** Codes of gRPC (google.rpc.Code) that Segue uses, with their number and the HTTP status they become. */
export const ERROR_CODES = {
  CANCELLED: { grpc: 1, http: 499 },
  INVALID_ARGUMENT: { grpc: 3, http: 400 },
  DEADLINE_EXCEEDED: { grpc: 4, http: 504 },
  NOT_FOUND: { grpc: 5, http: 404 },
  ALREADY_EXISTS: { grpc: 6, http: 409 },
  PERMISSION_DENIED: { grpc: 7, http: 403 },
  RESOURCE_EXHAUSTED: { grpc: 8, http: 429 },
  UNIMPLEMENTED: { grpc: 12, http: 501 },
  INTERNAL: { grpc: 13, http: 500 },
  UNAVAILABLE: { grpc: 14, http: 503 },
  UNAUTHENTICATED: { grpc: 16, http: 401 },
} as const;

export type ErrorCode = keyof typeof ERROR_CODES;

/** A finer cause, where an edge answers it with a status of its own or a stage acts on it. */
export type ErrorReason = 'TOO_LARGE' | 'NOT_A_PICTURE' | 'TENSOR_GONE' | 'STORE_AWAY' | 'SUPERSEDED';

const HTTP_OF_REASON: Partial<Record<ErrorReason, number>> = { TOO_LARGE: 413, NOT_A_PICTURE: 415 };

export interface SegueErrorOptions {
  readonly reason?: ErrorReason;
  readonly details?: Readonly<Record<string, unknown>>;
  /** When trying again makes sense. */
  readonly retryAfterMs?: number;
  readonly cause?: unknown;
}

/**
 * The one error of Segue. `message` is for the caller: it says what to do and holds no internal name, path or stack;
 * what happened inside is kept in `cause`.
 */
export class SegueError extends Error {
  override readonly name = 'SegueError';
  readonly reason: ErrorReason | undefined;
  readonly details: Readonly<Record<string, unknown>>;
  readonly retryAfterMs: number | undefined;

  constructor(
    readonly code: ErrorCode,
    message: string,
    options: SegueErrorOptions = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.reason = options.reason;
    this.details = options.details ?? {};
    this.retryAfterMs = options.retryAfterMs;
  }

  get grpcStatus(): number {
    return ERROR_CODES[this.code].grpc;
  }

  get httpStatus(): number {
    return (this.reason && HTTP_OF_REASON[this.reason]) ?? ERROR_CODES[this.code].http;
  }

  /** Whether the same work may succeed when tried again. */
  get retryable(): boolean {
    return this.code === 'UNAVAILABLE';
  }

  /** Passes a `SegueError` through; anything else is a defect and becomes INTERNAL with a message that gives nothing away. */
  static from(error: unknown): SegueError {
    if (error instanceof SegueError) return error;
    return new SegueError(
      'INTERNAL',
      'The service failed on this request. Try again; if it fails again, report the job id.',
      {
        cause: error,
      },
    );
  }

  /** The plain form that is stored and sent. */
  toJSON(): ErrorBody {
    return { code: this.code, message: this.message, details: this.details };
  }
}

/** An error as clients see it. */
export interface ErrorBody {
  readonly code: ErrorCode;
  readonly message: string;
  readonly details: Readonly<Record<string, unknown>>;
}
