import type { Bundle, Manifest } from '@segue/bundle';
import { SegueError, type FinishReason } from '@segue/core';
import type { Session } from '@segue/inference';
import type { Tensor } from '@segue/tensors';
import { AnswerWriter, type SegmentDraft } from './answer.js';
import { Drafts } from './drafts.js';
import { LanguageGraphs } from './graphs.js';
import type { LanguageObserver } from './observer.js';
import { PicturePrefixes, type Picture } from './prefixes.js';
import { PromptBuilder, type Question } from './prompt.js';
import { Row, abortError, type AnswerListener } from './row.js';
import { Scheduler } from './scheduler.js';
import { Tokenizer } from './tokenizer.js';

/** Tokens that are guessed and checked in one step, unless something else is asked for. */
export const DRAFT_TOKENS = 8;

export interface LanguageModelOptions {
  /** Answers written at once; never above the bundle's own limit, which is the default. */
  readonly maxBatch?: number;
  /** Tokens that are guessed and checked in one step at most; 0 writes token by token. The answers are the same. */
  readonly draftTokens?: number;
  /** What cached picture prefixes may take. */
  readonly prefixCacheBytes: number;
  readonly observer?: LanguageObserver;
}

export interface GenerateRequest extends Question, AnswerListener {
  readonly imageId: string;
  /** Gives `float32[1, visual, hidden]`; called only when the picture's prefix is not cached. */
  visualTokens(): Promise<Tensor>;
  /** Tokens of the answer at most; the bundle's limit applies besides. */
  readonly maxTokens?: number | undefined;
  /** Looked at between steps. When its reason is a SegueError, `generate` rejects with that. */
  readonly signal: AbortSignal;
}

export interface Generation {
  /** The answer with `<SEG>` written literally; `<SEG>` alone in mode `mask_only`. */
  readonly text: string;
  readonly segments: readonly SegmentDraft[];
  readonly finishReason: FinishReason;
  /** With the picture's prefix. */
  readonly promptTokens: number;
  /** Of the answer. */
  readonly tokens: number;
  /** Whether the picture's prefix was there without a prefill for this request. */
  readonly prefixCached: boolean;
}

/** The generate stage: answers questions about pictures, many at once. Greedy, so the same question has one answer. */
export class LanguageModel {
  readonly #language: Manifest['language'];
  readonly #tokenizer: Tokenizer;
  readonly #prompts: PromptBuilder;
  readonly #prefixes: PicturePrefixes;
  readonly #scheduler: Scheduler;
  readonly #drafts: Drafts;
  readonly #observer: LanguageObserver;

  private constructor(
    language: Manifest['language'],
    tokenizer: Tokenizer,
    sessions: Readonly<Record<string, Session>>,
    options: LanguageModelOptions,
  ) {
    const { kv: shape, limits } = language;
    const { maxBatch = limits.maxBatch, draftTokens = DRAFT_TOKENS, prefixCacheBytes, observer = {} } = options;
    const graphs = new LanguageGraphs(language, sessions, observer);
    this.#language = language;
    this.#tokenizer = tokenizer;
    this.#observer = observer;
    this.#prompts = new PromptBuilder(language, tokenizer);
    this.#prefixes = new PicturePrefixes({
      prompts: this.#prompts,
      shape,
      maxBytes: prefixCacheBytes,
      observer,
    });
    this.#scheduler = new Scheduler({
      graphs,
      prefixes: this.#prefixes,
      shape,
      maxBatch: Math.max(1, Math.min(maxBatch, limits.maxBatch)),
    });
    const usual = language.usualAnswers.map((answer) => tokenizer.encode(answer));
    this.#drafts = new Drafts(usual, draftTokens);
  }

  /**
   * `sessions`: open sessions of `languageGraphs(bundle.manifest)`; the caller closes them, after this.
   * @throws SegueError INTERNAL when the bundle's tokenizer does not fit its manifest.
   */
  static async create(
    bundle: Pick<Bundle, 'file'> & { readonly manifest: Pick<Manifest, 'language'> },
    sessions: Readonly<Record<string, Session>>,
    options: LanguageModelOptions,
  ): Promise<LanguageModel> {
    const { language } = bundle.manifest;
    const tokenizer = await Tokenizer.load(bundle.file(language.tokenizer.file), language);
    return new LanguageModel(language, tokenizer, sessions, options);
  }

  /**
   * Answers one question. Text and segments are reported as they are written, a segment right after the text that ends
   * with its `<SEG>`.
   * @throws SegueError INVALID_ARGUMENT (question too long, mode unknown to the model), CANCELLED or the signal's own
   * reason, UNAVAILABLE (closing), INTERNAL (the model failed), and whatever `visualTokens` or a callback throws.
   */
  async generate(request: GenerateRequest): Promise<Generation> {
    const { mode, signal } = request;
    const { limits } = this.#language;
    const tail = this.#prompts.tail(request);
    const picture = await this.#picture(request);
    const promptTokens = this.#prefixTokens(picture) + tail.length;
    const maxTokens = this.#prompts.room(promptTokens, mode === 'mask_only' ? 1 : request.maxTokens);
    const writer = new AnswerWriter(
      { ...this.#language, mode, maxTokens, maxSegments: limits.maxSegments },
      this.#tokenizer,
    );
    const question = this.#tokenizer.encode(` ${request.instruction.toLowerCase()}`);
    const row = new Row({ picture, tail, question, writer, drafts: this.#drafts, listener: request, signal });
    this.#scheduler.add(row);
    const finishReason = await row.finished().finally(() => {
      this.#observer.onAnswer?.({ tokens: writer.tokens, segments: writer.segments.length });
    });
    return {
      text: writer.text,
      segments: writer.segments,
      finishReason,
      promptTokens,
      tokens: writer.tokens,
      prefixCached: row.prefixCached,
    };
  }

  /** Ends running answers before their next step (UNAVAILABLE, so that they are taken over elsewhere). */
  close(): Promise<void> {
    return this.#scheduler.close();
  }

  async #picture(request: GenerateRequest): Promise<Picture> {
    const { imageId, signal } = request;
    const prefix = this.#prefixes.find(imageId);
    if (prefix) return { imageId, prefix };
    if (signal.aborted) throw abortError(signal);
    const visualTokens = await request.visualTokens();
    const [rows, , hidden] = visualTokens.shape;
    if (visualTokens.dtype !== 'float32' || rows !== 1 || hidden !== this.#language.hiddenSize) {
      const cause = new Error(`visual tokens are ${visualTokens.dtype}[${visualTokens.shape.join(', ')}]`);
      throw new SegueError('INTERNAL', 'The picture was encoded by a model that does not fit this one.', { cause });
    }
    return { imageId, visualTokens: visualTokens as Tensor<'float32'> };
  }

  #prefixTokens(picture: Picture): number {
    if ('prefix' in picture) return picture.prefix.shape[3] ?? 0;
    return this.#prompts.prefix(picture.visualTokens.shape[1] ?? 0).length;
  }
}
