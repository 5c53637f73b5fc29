import { createParser, type EventSourceMessage } from 'eventsource-parser';

/** The service pings every 15 s: a connection that is silent for so long has died without a word. */
const SILENCE_MS = 60_000;

/** Reads the server-sent events of an HTTP response as they arrive. Leaving the loop closes the connection. */
export async function* serverSentEvents(response: Response): AsyncGenerator<EventSourceMessage, void> {
  if (!response.body) return;
  const messages: EventSourceMessage[] = [];
  const parser = createParser({ onEvent: (message) => messages.push(message) });
  // A reader, because not every browser's stream can be iterated over.
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  try {
    for (;;) {
      const { done, value } = await unlessSilent(reader.read());
      if (done) return;
      parser.feed(value);
      yield* messages.splice(0);
    }
  } finally {
    await reader.cancel().catch(() => undefined); // it has broken already
  }
}

async function unlessSilent<T>(reading: Promise<T>): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const silence = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`nothing was received for ${SILENCE_MS / 1000} s`)), SILENCE_MS);
  });
  try {
    return await Promise.race([reading, silence]);
  } finally {
    clearTimeout(timer);
  }
}
