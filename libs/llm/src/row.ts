import { AsyncLocalStorage } from 'node:async_hooks';
import { SegueError, type FinishReason } from '@segue/core';
import type { AsyncContext } from '@segue/inference';
import type { SegmentPrompt, TextPiece } from '@segue/stages';
import { notFinite, type AnswerWriter, type Produced, type Step } from './answer.js';
import { Delivery } from './delivery.js';
import type { Drafts } from './drafts.js';
import type { NewTokens } from './graphs.js';
import type { Picture } from './prefixes.js';

/** Who hears of an answer while it is written. A callback that throws ends its own answer only. */
export interface AnswerListener {
  onText?(piece: TextPiece): void | Promise<void>;
  onSegment?(segment: SegmentPrompt): void | Promise<void>;
}

export interface RowInput {
  readonly picture: Picture;
  /** Token ids behind the picture's prefix. */
  readonly tail: readonly number[];
  /** Token ids of the question alone, as an answer would write its words. */
  readonly question: readonly number[];
  readonly writer: AnswerWriter;
  readonly drafts: Drafts;
  readonly listener: AnswerListener;
  readonly signal: AbortSignal;
}

type Outcome = { readonly finishReason: FinishReason } | { readonly error: unknown };

/** One request in the batch. */
export class Row {
  readonly picture: Picture;
  readonly tail: readonly number[];
  readonly writer: AnswerWriter;
  /** Whether the picture's prefix was there without a prefill for this row. */
  prefixCached = false;
  readonly #drafts: Drafts;
  readonly #question: readonly number[];
  /** Tokens of the answer. */
  #tokens: number[] = [];
  /** Whoever asked: the batch runs for all its rows, and in the context of none. */
  readonly within: AsyncContext = AsyncLocalStorage.snapshot();
  readonly #listener: AnswerListener;
  readonly #signal: AbortSignal;
  readonly #delivery = new Delivery();
  #outcome: Outcome | undefined;
  readonly #ended: Promise<Outcome>;
  #end!: (outcome: Outcome) => void;

  constructor({ picture, tail, question, writer, drafts, listener, signal }: RowInput) {
    this.picture = picture;
    this.tail = tail;
    this.writer = writer;
    this.#drafts = drafts;
    this.#question = question;
    this.#listener = listener;
    this.#signal = signal;
    this.#ended = new Promise((resolve) => (this.#end = resolve));
  }

  /** Whether the answer is complete or has failed. */
  get settled(): boolean {
    return this.#outcome !== undefined;
  }

  /** Why the row must leave the batch before its answer is complete. */
  get stopReason(): unknown {
    return this.#signal.aborted ? abortError(this.#signal) : this.#delivery.failure?.error;
  }

  /** Resolves when the answer is complete and every callback has returned; rejects with why it is not. */
  async finished(): Promise<FinishReason> {
    const outcome = await this.#ended;
    await this.#delivery.settled();
    if ('error' in outcome) throw outcome.error;
    if (this.#delivery.failure) throw this.#delivery.failure.error;
    return outcome.finishReason;
  }

  /** What is fed next: the prompt's tail or the last token, and a guess of what follows. */
  get next(): NewTokens {
    const startsAnswer = this.#tokens.length === 0;
    const guess = this.#drafts.after(this.#tokens, this.#question, this.writer.wanted - 1);
    return {
      ids: [...(startsAnswer ? this.tail : this.#tokens.slice(-1)), ...guess],
      drafted: guess.length,
      startsAnswer,
      askers: [this],
    };
  }

  accept(steps: readonly Step[]): Produced[] {
    this.#tokens.push(...steps.map(({ token }) => token));
    return this.writer.accept(steps);
  }

  /** Passes on what was produced; `embeddings` belong to its segments, in order. */
  deliver(produced: readonly Produced[], embeddings: readonly Float32Array[]): void {
    if (!embeddings.every((embedding) => embedding.every((value) => Number.isFinite(value)))) throw notFinite();
    const remaining = embeddings.values();
    for (const item of produced) {
      if (item.type === 'text') {
        this.#delivery.push(() => this.#listener.onText?.(item.piece));
        continue;
      }
      const { value: embedding } = remaining.next();
      if (embedding) this.#delivery.push(() => this.#listener.onSegment?.({ ...item.segment, embedding }));
    }
    const { finishReason } = this.writer;
    if (finishReason) this.#settle({ finishReason });
  }

  fail(error: unknown): void {
    this.#settle({ error });
  }

  #settle(outcome: Outcome): void {
    if (this.#outcome) return;
    this.#outcome = outcome;
    this.#end(outcome);
  }
}

/** What an aborted signal means for the caller. */
export function abortError(signal: AbortSignal): SegueError {
  const reason: unknown = signal.reason;
  return reason instanceof SegueError
    ? reason
    : new SegueError('CANCELLED', 'The request was cancelled before its answer was complete.', { cause: reason });
}
