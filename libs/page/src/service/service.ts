import { EventSourceParserStream } from 'eventsource-parser/stream';
import { authorization, keyWanted } from './api-key.js';
import type { Exchange, Job, JobEvent, Model } from './bodies.js';

/** How often a broken event stream is taken up again, and the pause before each time. */
const RECONNECTS = 5;
const RECONNECT_AFTER_MS = 1_000;

/** A failure whose message is meant for the person at the page. */
export class Problem extends Error {
  constructor(
    message: string,
    /** HTTP status; 0 when there was no answer. */
    readonly status = 0,
    readonly details: Readonly<Record<string, unknown>> = {},
  ) {
    super(message);
  }

  /** Whether picture and conversation are more than the model holds. */
  get tooLong(): boolean {
    return 'contextTokens' in this.details;
  }
}

export interface Question {
  readonly instruction: string;
  /** Oldest first. */
  readonly history: readonly Exchange[];
}

/** The picture that a question is about: its bytes, and its id once the service has them. */
export interface Asked {
  readonly blob: Blob;
  readonly imageId: string | undefined;
}

/**
 * Submits a question as a job of its own, so that it outlives a reload. A picture that the service knows is named by its
 * id, and sent again by itself when it is not kept any more.
 */
export async function submit({ blob, imageId }: Asked, question: Question, signal: AbortSignal): Promise<Job> {
  if (imageId !== undefined) {
    const body = JSON.stringify({ image_id: imageId, ...question });
    const headers = { 'content-type': 'application/json' };
    const response = await send('v1/jobs', { method: 'POST', headers, body, signal });
    if (response.status !== 404) return json(response);
  }
  const form = pictureForm(blob);
  form.set('instruction', question.instruction);
  form.set('history', JSON.stringify(question.history));
  return json(await send('v1/jobs', { method: 'POST', body: form, signal }));
}

/** A job's events to the last one. A connection that breaks off is taken up again after the last event that arrived. */
export async function* follow(jobId: string, signal: AbortSignal): AsyncGenerator<JobEvent, void> {
  let last: string | undefined;
  for (let broken = 0; ; broken++) {
    try {
      const headers: Record<string, string> = last === undefined ? {} : { 'last-event-id': last };
      const response = await send(`v1/jobs/${jobId}/events`, { headers, signal });
      if (response.status === 204) return;
      if (!response.ok || !response.body) throw await problemOf(response);
      const events = response.body.pipeThrough(new TextDecoderStream()).pipeThrough(new EventSourceParserStream());
      const reader = events.getReader();
      try {
        for (let next = await reader.read(); !next.done; next = await reader.read()) {
          last = next.value.id;
          const event = JSON.parse(next.value.data) as JobEvent;
          yield event;
          if (event.type === 'completed' || event.type === 'failed' || event.type === 'cancelled') return;
        }
      } finally {
        // Not waited for: a connection that has broken off cannot be ended.
        void reader.cancel().catch(() => undefined);
      }
    } catch (error) {
      const final = error instanceof Problem && error.status >= 400 && error.status < 500;
      if (signal.aborted || final || broken >= RECONNECTS) throw error;
    }
    await new Promise((resolve) => setTimeout(resolve, RECONNECT_AFTER_MS));
    signal.throwIfAborted();
  }
}

export async function job(jobId: string): Promise<Job> {
  return json(await send(`v1/jobs/${jobId}`));
}

/** Stops a job. What has been said stays. */
export async function cancel(jobId: string): Promise<void> {
  await send(`v1/jobs/${jobId}`, { method: 'DELETE' });
}

/** Stores a picture ahead of the first question about it. @throws Problem when it is none, or too large a one. */
export async function storePicture(blob: Blob): Promise<string> {
  const stored = await json<{ image_id: string }>(await send('v1/images', { method: 'POST', body: pictureForm(blob) }));
  return stored.image_id;
}

/** A stored picture as it was sent; undefined when it is not kept any more. */
export async function picture(imageId: string): Promise<Blob | undefined> {
  const response = await send(`v1/images/${imageId}`);
  return response.ok ? response.blob() : undefined;
}

/** The model that answers unless another one is named. */
export async function defaultModel(): Promise<Model | undefined> {
  const { models } = await json<{ models: Model[] }>(await send('v1/models'));
  return models.find((model) => model.is_default);
}

function pictureForm(blob: Blob): FormData {
  const form = new FormData();
  form.set('image', blob, 'picture');
  return form;
}

/** @param path relative to the page, which may lie behind a prefix. */
async function send(path: string, request: RequestInit = {}): Promise<Response> {
  try {
    const headers = { ...(request.headers as Record<string, string> | undefined), ...authorization() };
    const response = await fetch(path, { ...request, headers });
    if (response.status === 401) keyWanted.value = true;
    return response;
  } catch (error) {
    if (request.signal?.aborted) throw error;
    throw new Problem('The service cannot be reached. Check that it runs, then ask again.');
  }
}

async function json<T>(response: Response): Promise<T> {
  if (!response.ok) throw await problemOf(response);
  return (await response.json()) as T;
}

/** What the service says about a failed request (RFC 9457). */
async function problemOf(response: Response): Promise<Problem> {
  const body = (await response.json().catch(() => ({}))) as { detail?: string };
  const sentence = body.detail ?? `The service answered ${response.status}. Try again in a moment.`;
  return new Problem(sentence, response.status);
}
