import { STATUS_CODES } from 'node:http';
import { Catch, HttpException, type ArgumentsHost, type ExceptionFilter } from '@nestjs/common';
import { SegueError } from '@segue/core';
import type { Logger } from '@segue/service';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Body } from './schemas.js';
import { WORDINGS } from './wordings.js';

/** A refusal that has a status of its own in HTTP alone. */
export class HttpRefusal extends Error {
  constructor(
    readonly status: number,
    readonly error: SegueError,
    readonly headers: Readonly<Record<string, string>> = {},
  ) {
    super(error.message);
  }
}

/** What this server's HTTP framework refuses by itself, by status, and the error that it is to a client. */
const REFUSALS: Readonly<Record<number, SegueError>> = {
  400: new SegueError(
    'INVALID_ARGUMENT',
    'The body cannot be read. Send valid JSON, or a form as multipart/form-data.',
  ),
  401: new SegueError('UNAUTHENTICATED', "Send the operators' key, SEGUE_ADMIN_KEY, as 'Authorization: Bearer KEY'."),
  404: new SegueError('NOT_FOUND', 'There is nothing at this address. The addresses of the API begin with /v1.'),
  408: new SegueError('DEADLINE_EXCEEDED', 'The request took too long to arrive. Send it again.'),
  413: new SegueError('INVALID_ARGUMENT', 'The body is too large. Send a smaller picture.', { reason: 'TOO_LARGE' }),
  414: new SegueError('INVALID_ARGUMENT', 'The address is too long.'),
  415: new SegueError(
    'INVALID_ARGUMENT',
    'Send the body as application/json or multipart/form-data, and say so in Content-Type.',
  ),
  431: new SegueError('INVALID_ARGUMENT', 'The headers are too large. Send fewer or shorter ones.'),
  499: new SegueError('CANCELLED', 'The client closed the connection.'),
  503: new SegueError('UNAVAILABLE', 'This server is stopping. Send the request again.', { retryAfterMs: 1_000 }),
};

/** Every failure of an HTTP request as application/problem+json (RFC 9457); other protocols have words of their own. */
@Catch()
export class ProblemFilter implements ExceptionFilter {
  readonly #logger: Logger;

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  async catch(thrown: unknown, host: ArgumentsHost): Promise<void> {
    const http = host.switchToHttp();
    await this.answer(thrown, http.getRequest<FastifyRequest>(), http.getResponse<FastifyReply>());
  }

  /** Ends a request with a failure. */
  async answer(thrown: unknown, request: FastifyRequest, reply: FastifyReply): Promise<void> {
    const { error, status, headers } = classify(thrown, request);
    if (status === 500) this.#logger.error({ err: thrown, requestId: request.id }, 'request failed');
    if (reply.raw.headersSent) {
      // A stream that has begun cannot change its status any more: the client sees it break off.
      reply.raw.destroy();
      return;
    }
    const wording = WORDINGS.find(({ addresses }) => addresses.test(request.url));
    await reply
      .status(status)
      .headers({ ...headers, ...retryAfter(error), ...challenge(error) })
      .type(wording ? 'application/json' : PROBLEM_TYPE)
      .send(wording ? JSON.stringify(wording.bodyOf(error)) : problemText(error, status));
  }
}

export const PROBLEM_TYPE = 'application/problem+json';

/** The body of an answer that this server's framework would give by itself, for its status. */
export function refusalText(status: number): string {
  return problemText(REFUSALS[status] ?? SegueError.from(undefined), status);
}

interface Classified {
  readonly error: SegueError;
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
}

function classify(thrown: unknown, { raw }: FastifyRequest): Classified {
  // Whatever failed for want of the rest of a body, there is nobody who would hear of it.
  if (raw.destroyed && !raw.complete) return refusal(499) ?? unknown(thrown);
  if (thrown instanceof HttpRefusal) return thrown;
  if (thrown instanceof SegueError) return { error: thrown, status: thrown.httpStatus };
  return refusal(statusOf(thrown)) ?? unknown(thrown);
}

function refusal(status: number | undefined): Classified | undefined {
  const error = status === undefined ? undefined : REFUSALS[status];
  return status !== undefined && error ? { error, status } : undefined;
}

function unknown(thrown: unknown): Classified {
  return { error: SegueError.from(thrown), status: 500 };
}

/** Status of an error of Nest or Fastify. */
function statusOf(thrown: unknown): number | undefined {
  if (thrown instanceof HttpException) return thrown.getStatus();
  if (thrown instanceof Error && 'statusCode' in thrown && typeof thrown.statusCode === 'number')
    return thrown.statusCode;
  return undefined;
}

function retryAfter({ retryAfterMs }: SegueError): Readonly<Record<string, string>> {
  return retryAfterMs === undefined ? {} : { 'retry-after': String(Math.ceil(retryAfterMs / 1000)) };
}

/** RFC 6750. */
function challenge({ code }: SegueError): Readonly<Record<string, string>> {
  return code === 'UNAUTHENTICATED' ? { 'www-authenticate': 'Bearer' } : {};
}

function problemText({ code, message, details }: SegueError, status: number): string {
  const title = status === 499 ? 'Client Closed Request' : (STATUS_CODES[status] ?? 'Error');
  const problem = { type: 'about:blank', title, status, detail: message, code, details };
  return JSON.stringify(problem satisfies { [K in keyof Body<'Problem'>]: unknown });
}
