import type { LanguageObserver } from '@segue/llm';
import { Counter, Histogram, SECONDS_BUCKETS, type Registry } from '@segue/service';

/** What the language model does, as metrics. */
export class LanguageMetrics implements LanguageObserver {
  readonly #tokens: Counter;
  readonly #segments: Counter;
  readonly #rows: Histogram;
  readonly #drafted: Counter;
  readonly #prefillTokens: Counter;
  readonly #prefill: Histogram;
  readonly #onPrefixLookup: (hit: boolean) => void;

  constructor(registry: Registry, onPrefixLookup: (hit: boolean) => void) {
    this.#onPrefixLookup = onPrefixLookup;
    const registers = [registry];
    this.#tokens = new Counter({ name: 'segue_tokens_total', help: 'Tokens written.', registers });
    this.#segments = new Counter({ name: 'segue_segments_total', help: '<SEG> tokens written.', registers });
    this.#rows = new Histogram({
      name: 'segue_batch_rows',
      help: 'Answers in one step of decoding.',
      buckets: [1, 2, 4, 8, 16, 32],
      registers,
    });
    this.#drafted = new Counter({
      name: 'segue_draft_tokens_total',
      help: 'Tokens that were guessed while decoding, by whether the model chose them.',
      labelNames: ['outcome'],
      registers,
    });
    this.#prefillTokens = new Counter({
      name: 'segue_prefill_tokens_total',
      help: 'Positions computed in prefills, by what they belong to.',
      labelNames: ['part'],
      registers,
    });
    this.#prefill = new Histogram({
      name: 'segue_prefill_seconds',
      help: 'Time of one prefill.',
      labelNames: ['part'],
      buckets: SECONDS_BUCKETS,
      registers,
    });
  }

  onPrefix({ hit }: { readonly hit: boolean }): void {
    this.#onPrefixLookup(hit);
  }

  onPrefill({
    prefix,
    tokens,
    seconds,
  }: {
    readonly prefix: boolean;
    readonly tokens: number;
    readonly seconds: number;
  }): void {
    const part = prefix ? 'picture' : 'conversation';
    this.#prefillTokens.inc({ part }, tokens);
    this.#prefill.observe({ part }, seconds);
  }

  onDecode({
    rows,
    drafted,
    accepted,
  }: {
    readonly rows: number;
    readonly drafted: number;
    readonly accepted: number;
  }): void {
    this.#rows.observe(rows);
    this.#drafted.inc({ outcome: 'accepted' }, accepted);
    this.#drafted.inc({ outcome: 'rejected' }, drafted - accepted);
  }

  onAnswer({ tokens, segments }: { readonly tokens: number; readonly segments: number }): void {
    this.#tokens.inc(tokens);
    this.#segments.inc(segments);
  }
}
