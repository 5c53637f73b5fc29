import { isTerminal, SegueError, type JobEvent } from '@segue/core';
import { toEvent } from './bodies.js';
import { serverSentEvents } from './server-sent-events.js';
import type { Transport } from './transport.js';

/** How often a stream that ends too early is taken up again without anything new in between. */
const MAX_BARREN_STREAMS = 3;

/** Where a stream of a job's events is to go on. */
export interface EventPosition {
  readonly jobId: string;
  readonly afterEventId?: string | undefined;
}

/** Opens the events of a job. */
export function openEvents(
  transport: Transport,
  { jobId, afterEventId }: EventPosition,
  signal: AbortSignal,
): Promise<Response> {
  return transport.send({
    path: `v1/jobs/${encodeURIComponent(jobId)}/events`,
    headers: { accept: 'text/event-stream', ...(afterEventId && { 'last-event-id': afterEventId }) },
    signal,
    read: (response) => response,
  });
}

/**
 * Yields events until the job's last one.
 * @param resume whether a stream that ends before is taken up where it ended; else the job has ended with it.
 * @throws SegueError
 */
export async function* jobEvents(
  transport: Transport,
  first: Response,
  { signal, resume, position }: { signal: AbortSignal; resume: boolean; position?: EventPosition },
): AsyncGenerator<JobEvent, void> {
  let response = first;
  let barren = 0;
  for (;;) {
    let failure: unknown;
    try {
      for await (const { data } of serverSentEvents(response)) {
        const event = toEvent(JSON.parse(data));
        if (!event) continue;
        barren = 0;
        position = { jobId: event.jobId, afterEventId: event.id };
        yield event;
        if (isTerminal(event)) return;
      }
      // Nothing has happened, or can any more, since the event that was asked for.
      if (response.status === 204) return;
    } catch (error) {
      if (error instanceof SegueError) throw error;
      failure = error;
    }
    if (signal.aborted) throw transport.errorOf(failure, signal);
    if (!resume || !position || barren++ === MAX_BARREN_STREAMS) {
      throw new SegueError('UNAVAILABLE', 'The connection broke before the answer was complete. Ask again.', {
        cause: failure,
      });
    }
    response = await openEvents(transport, position, signal);
  }
}
