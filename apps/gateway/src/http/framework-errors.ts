import type { Socket } from 'node:net';
import type { FastifyReply, FastifyRequest, FastifyServerOptions } from 'fastify';
import { REQUEST_ID, requestIdOf } from '@segue/core';
import { PROBLEM_TYPE, refusalText } from './problem.js';

/** Headers that every answer has, those included that are written before there is a request. */
export const COMMON_HEADERS = { 'x-content-type-options': 'nosniff', 'referrer-policy': 'no-referrer' } as const;

/** What HTTP's parser and the router refuse before any route or hook is reached: the same problems as all others. */
export const frameworkErrors: Pick<FastifyServerOptions, 'frameworkErrors' | 'clientErrorHandler'> = {
  frameworkErrors(error, request: FastifyRequest, reply: FastifyReply) {
    const status = error.statusCode === 414 ? 414 : 404;
    void reply
      .status(status)
      .headers({ ...COMMON_HEADERS, [REQUEST_ID]: request.id })
      .type(PROBLEM_TYPE)
      .send(refusalText(status));
  },
  clientErrorHandler(error: Error & { readonly code?: string }, socket: Socket) {
    // The client has gone, or an answer was on its way already.
    if (error.code === 'ECONNRESET' || !socket.writable || socket.bytesWritten > 0) {
      socket.destroy();
      return;
    }
    const status = STATUS_OF_CODE[error.code ?? ''] ?? 400;
    const body = refusalText(status);
    const headers = {
      ...COMMON_HEADERS,
      [REQUEST_ID]: requestIdOf(undefined),
      'content-type': PROBLEM_TYPE,
      'content-length': String(Buffer.byteLength(body)),
      connection: 'close',
    };
    const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
    socket.end(`HTTP/1.1 ${status} ${REASONS[status] ?? 'Bad Request'}\r\n${lines.join('')}\r\n${body}`);
  },
};

const STATUS_OF_CODE: Readonly<Record<string, number>> = {
  HPE_HEADER_OVERFLOW: 431,
  ERR_HTTP_REQUEST_TIMEOUT: 408,
};
const REASONS: Readonly<Record<number, string>> = { 408: 'Request Timeout', 431: 'Request Header Fields Too Large' };
