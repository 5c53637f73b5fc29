import { randomUUID } from 'node:crypto';

/** What goes into logs and back to the client as it came. */
const PLAIN = /^[\w.-]{1,128}$/;

/** Name of the header, and of the gRPC metadata, that carries a request's id. */
export const REQUEST_ID = 'x-request-id';

/** The client's own id if it is a plain one, else a new one. */
export function requestIdOf(given: unknown): string {
  return typeof given === 'string' && PLAIN.test(given) ? given : randomUUID();
}
