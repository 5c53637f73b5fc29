import type { Answer, JobEvent, TokenUsage } from '@segue/core';

/** Writes an answer as a completion. `Mask` is a segment as the HTTP interface writes it. */
export interface CompletionOf<Mask> {
  readonly answer: Answer;
  readonly segments: readonly Mask[];
  /** Seconds since the epoch. */
  readonly created: number;
}

/** The answer as OpenAI's clients parse it; masks are in `message.segments`, the job in `segue`. */
export function toCompletion<Mask>({ answer, segments, created }: CompletionOf<Mask>) {
  const { jobId, text, model, finishReason, usage } = answer;
  return {
    id: idOf(jobId),
    object: 'chat.completion',
    created,
    model,
    choices: [
      {
        index: 0,
        message: { role: 'assistant', content: text, refusal: null, segments },
        logprobs: null,
        finish_reason: finishReasonOf(finishReason),
      },
    ],
    ...(usage && { usage: toUsage(usage) }),
    segue: aboutJob(answer),
  };
}

/** Words and masks of a job as they come; nothing for events that say neither. */
export class CompletionStream<Mask> {
  readonly #model: string;
  readonly #withUsage: boolean;
  #started = false;

  /** @param withUsage whether a last chunk, which has no choice, says how many tokens it took. */
  constructor(model: string, { withUsage = false }: { readonly withUsage?: boolean } = {}) {
    this.#model = model;
    this.#withUsage = withUsage;
  }

  /** @param segment the event's, as it is written; for events of type `segment`. */
  chunks(event: JobEvent, segment?: Mask): object[] {
    switch (event.type) {
      case 'accepted':
        return this.#start(event);
      case 'text':
        return [...this.#start(event), this.#chunk(event, { content: event.text })];
      case 'segment':
        return [...this.#start(event), this.#chunk(event, { segments: [segment] })];
      case 'completed': {
        const { answer } = event;
        const end = { ...this.#chunk(event, {}, finishReasonOf(answer.finishReason)), segue: aboutJob(answer) };
        const usage = this.#withUsage && answer.usage;
        const last = usage ? [{ ...this.#head(event), choices: [], usage: toUsage(usage) }] : [];
        return [...this.#start(event), end, ...last];
      }
      default:
        return [];
    }
  }

  #start(event: JobEvent): object[] {
    if (this.#started) return [];
    this.#started = true;
    return [this.#chunk(event, { role: 'assistant', content: '' })];
  }

  #chunk(event: JobEvent, delta: object, finishReason: string | null = null) {
    const choices = [{ index: 0, delta, logprobs: null, finish_reason: finishReason }];
    return { ...this.#head(event), choices, ...(this.#withUsage && { usage: null }) };
  }

  #head({ jobId, atMs }: JobEvent) {
    return {
      id: idOf(jobId),
      object: 'chat.completion.chunk',
      created: Math.floor(atMs / 1000),
      model: this.#model,
    };
  }
}

function idOf(jobId: string): string {
  return `chatcmpl-${jobId}`;
}

function finishReasonOf(reason: Answer['finishReason']): 'stop' | 'length' {
  return reason === 'length' ? 'length' : 'stop';
}

function toUsage({ promptTokens, completionTokens }: TokenUsage) {
  return {
    prompt_tokens: promptTokens,
    completion_tokens: completionTokens,
    total_tokens: promptTokens + completionTokens,
  };
}

function aboutJob({ jobId, imageId, timingsMs, cache }: Answer) {
  return { job_id: jobId, image_id: imageId, timings_ms: timingsMs, cache };
}
