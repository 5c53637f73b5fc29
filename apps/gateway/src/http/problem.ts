import { STATUS_CODES } from 'node:http';
import { Catch, HttpException, type ArgumentsHost, type ExceptionFilter } from '@nestjs/common';
import { SegueError } from '@segue/core';
import type { Logger } from '@segue/service';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Body } from './schemas.js';

/** What this server's HTTP framework refuses by itself, by status, and the error that it is to a client. */
const REFUSALS: Readonly<Record<number, SegueError>> = {
  400: new SegueError(
    'INVALID_ARGUMENT',
    'The body cannot be read. Send valid JSON, or a form as multipart/form-data.',
  ),
  404: new SegueError('NOT_FOUND', 'There is nothing at this address. The interface is described at /docs.'),
  408: new SegueError('DEADLINE_EXCEEDED', 'The request took too long to arrive. Send it again.'),
  413: new SegueError('INVALID_ARGUMENT', 'The body is too large. Send a smaller picture.', { reason: 'TOO_LARGE' }),
  415: new SegueError(
    'INVALID_ARGUMENT',
    'Send the body as application/json or multipart/form-data, and say so in Content-Type.',
  ),
  503: new SegueError('UNAVAILABLE', 'This server is stopping. Send the request again.', { retryAfterMs: 1_000 }),
};

/** Every failure of an HTTP request as application/problem+json (RFC 9457). */
@Catch()
export class ProblemFilter implements ExceptionFilter {
  readonly #logger: Logger;

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  async catch(thrown: unknown, host: ArgumentsHost): Promise<void> {
    const http = host.switchToHttp();
    const [request, reply] = [http.getRequest<FastifyRequest>(), http.getResponse<FastifyReply>()];
    const { error, status } = classify(thrown);
    if (status === 500) this.#logger.error({ err: thrown, requestId: request.id }, 'request failed');
    if (reply.raw.headersSent) {
      // A stream that has begun cannot change its status any more: the client sees it break off.
      reply.raw.destroy();
      return;
    }
    if (error.retryAfterMs !== undefined)
      void reply.header('retry-after', String(Math.ceil(error.retryAfterMs / 1000)));
    await reply
      .status(status)
      .type('application/problem+json')
      .send(JSON.stringify(toProblem(error, status)));
  }
}

function classify(thrown: unknown): { readonly error: SegueError; readonly status: number } {
  if (thrown instanceof SegueError) return { error: thrown, status: thrown.httpStatus };
  const status = statusOf(thrown);
  const refusal = status === undefined ? undefined : REFUSALS[status];
  if (status !== undefined && refusal) return { error: refusal, status };
  return { error: SegueError.from(thrown), status: 500 };
}

/** Status of an error of Nest or Fastify. */
function statusOf(thrown: unknown): number | undefined {
  if (thrown instanceof HttpException) return thrown.getStatus();
  if (thrown instanceof Error && 'statusCode' in thrown && typeof thrown.statusCode === 'number')
    return thrown.statusCode;
  return undefined;
}

function toProblem({ code, message, details }: SegueError, status: number): Body<'Problem'> {
  const title = status === 499 ? 'Client Closed Request' : (STATUS_CODES[status] ?? 'Error');
  return {
    type: 'about:blank',
    title,
    status,
    detail: message,
    code,
    details: { ...details } as Body<'Problem'>['details'],
  };
}
