import type { Manifest } from '@segue/bundle';
import { SegueError, type FinishReason, type Mode } from '@segue/core';
import type { SegmentPrompt, TextPiece } from '@segue/stages';
import { codePoints, lastPhrase, spanOf } from './phrase.js';
import type { Tokenizer } from './tokenizer.js';

/** One greedy step of the language model. */
export interface Step {
  readonly token: number;
  readonly logprob: number;
  /** `float32[hidden]`: the post-norm state that predicted the token. */
  readonly state: Float32Array;
}

/** A `<SEG>` as the answer names it. */
export interface SegmentDraft extends Omit<SegmentPrompt, 'embedding'> {
  /** Natural logarithm of the probability of this `<SEG>`; `null` in `mask_only`, where the model was not asked. */
  readonly logprob: number | null;
}

export type Produced =
  | { readonly type: 'text'; readonly piece: TextPiece }
  | { readonly type: 'segment'; readonly segment: SegmentDraft; readonly state: Float32Array };

/** What an answer may use up and how it is read, from the manifest and the request. */
export type AnswerRules = Pick<Manifest['language'], 'ids' | 'segToken' | 'segState' | 'phrasePattern'> & {
  readonly mode: Mode;
  readonly maxTokens: number;
  readonly maxSegments: number;
};

/** Turns the steps of one row into text and segments, and knows when the answer ends. */
export class AnswerWriter {
  readonly #rules: AnswerRules;
  readonly #tokenizer: Tokenizer;
  readonly #pattern: RegExp;
  readonly #ids: number[] = [];
  readonly #segments: SegmentDraft[] = [];
  #text = '';
  /** Length of the text up to and with the last `<SEG>`, UTF-16 code units. */
  #marked = 0;
  /** A segment whose state is the next step's (`segState` "at"). */
  #awaiting: SegmentDraft | undefined;
  #finishReason: FinishReason | undefined;

  constructor(rules: AnswerRules, tokenizer: Tokenizer) {
    this.#rules = rules;
    this.#tokenizer = tokenizer;
    this.#pattern = new RegExp(rules.phrasePattern, 'gu');
  }

  /** The text so far, without a character whose bytes are not all there yet. */
  get text(): string {
    return this.#text;
  }

  get segments(): readonly SegmentDraft[] {
    return this.#segments;
  }

  /** Tokens of the answer, the end token not counted. */
  get tokens(): number {
    return this.#ids.length;
  }

  /** Set once the answer is complete. */
  get finishReason(): FinishReason | undefined {
    return this.#awaiting ? undefined : this.#finishReason;
  }

  /** Further steps that may be of use; 0 when the answer is complete. */
  get wanted(): number {
    if (this.#finishReason) return this.#awaiting ? 1 : 0;
    return this.#rules.maxTokens - this.#ids.length;
  }

  /**
   * Takes the next steps; those after the end are ignored. Gives text and segments in the order of the text.
   * @throws SegueError INTERNAL when the model computed something that is not a number.
   */
  accept(steps: readonly Step[]): Produced[] {
    const produced: Produced[] = [];
    for (const step of steps) {
      if (this.wanted === 0) break;
      if (!Number.isFinite(step.logprob)) throw notFinite();
      produced.push(...this.#take(step));
    }
    produced.push(...this.#write(this.#finishReason !== undefined));
    return produced;
  }

  #take(step: Step): Produced[] {
    const { ids, mode, maxTokens, maxSegments } = this.#rules;
    if (mode === 'mask_only') {
      this.#finishReason = 'mask_only';
      return this.#mark({ ...step, token: ids.seg }, null);
    }
    const late = this.#awaiting;
    this.#awaiting = undefined;
    const produced: Produced[] = late ? [{ type: 'segment', segment: late, state: step.state }] : [];
    if (this.#finishReason) return produced;
    if (ids.end.includes(step.token)) {
      this.#finishReason = 'stop';
    } else if (step.token === ids.seg && this.#segments.length === maxSegments) {
      this.#finishReason = 'length';
    } else {
      if (step.token === ids.seg) produced.push(...this.#mark(step, step.logprob));
      else this.#ids.push(step.token);
      if (this.#ids.length === maxTokens) this.#finishReason = 'length';
    }
    return produced;
  }

  #mark(step: Step, logprob: number | null): Produced[] {
    const before = this.#tokenizer.decode(this.#ids);
    this.#ids.push(step.token);
    const written = this.#write(true);
    const phrase = lastPhrase(this.#pattern, before.slice(this.#marked));
    const [start, end] = phrase
      ? [this.#marked + phrase.start, this.#marked + phrase.end]
      : [before.length, this.#text.length];
    const segment: SegmentDraft = {
      index: this.#segments.length,
      phrase: phrase?.text ?? '',
      span: spanOf(this.#text, start, end),
      logprob,
    };
    this.#marked = this.#text.length;
    this.#segments.push(segment);
    if (this.#rules.segState === 'at' && this.#rules.mode === 'answer') {
      this.#awaiting = segment;
      return written;
    }
    return [...written, { type: 'segment', segment, state: step.state }];
  }

  /** Text that is new; `all`: a cut character at the end is written as it is. */
  #write(all: boolean): Produced[] {
    const decoded = this.#tokenizer.decode(this.#ids);
    const text = all ? decoded : decoded.replace(CUT_CHARACTER, '');
    if (text.length <= this.#text.length) return [];
    const piece: TextPiece = { offset: codePoints(this.#text), text: text.slice(this.#text.length) };
    this.#text = text;
    return [{ type: 'text', piece }];
  }
}

/** What a decoder makes of a character whose last bytes are still to come. */
const CUT_CHARACTER = /\uFFFD$/u;

/** The error for a run of the model that gave NaN or infinity. */
export function notFinite(): SegueError {
  return new SegueError(
    'INTERNAL',
    'The language model computed a value that is not a number, so there is no answer. Report the job id and the picture.',
  );
}
