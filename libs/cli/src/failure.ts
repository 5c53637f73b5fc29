import { SegueError, type ErrorCode } from '@segue/client';

/** Exit statuses by kind of failure, as `segue --help` lists them. */
export const EXIT = { failed: 1, wrongRequest: 2, notFound: 3, unavailable: 4, late: 5, cancelled: 130 } as const;

const EXIT_OF_CODE: Partial<Record<ErrorCode, number>> = {
  INVALID_ARGUMENT: EXIT.wrongRequest,
  ALREADY_EXISTS: EXIT.wrongRequest,
  UNIMPLEMENTED: EXIT.wrongRequest,
  NOT_FOUND: EXIT.notFound,
  UNAVAILABLE: EXIT.unavailable,
  RESOURCE_EXHAUSTED: EXIT.unavailable,
  DEADLINE_EXCEEDED: EXIT.late,
  CANCELLED: EXIT.cancelled,
};

/** Says what went wrong on standard error: a sentence if it is meant for people, else all of it. @returns the exit status. */
export function report(error: unknown, where = ''): number {
  const known = error instanceof SegueError;
  const text = known ? error.message : String(error instanceof Error ? error.stack : error);
  process.stderr.write(`${where === '' ? '' : `${where}: `}${text}\n`);
  return known ? (EXIT_OF_CODE[error.code] ?? EXIT.failed) : EXIT.failed;
}
