import { EventSourceParserStream, type EventSourceMessage } from 'eventsource-parser/stream';

/** Reads the server-sent events of an HTTP response (`POST /v1/segment` or `GET /v1/jobs/{id}/events`) as they arrive. */
export function serverSentEvents(response: Response): AsyncIterable<EventSourceMessage> {
  if (!response.body) throw new TypeError('This response has no body to read events from.');
  return response.body.pipeThrough(new TextDecoderStream()).pipeThrough(new EventSourceParserStream());
}
