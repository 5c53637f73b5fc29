import { readFile } from 'node:fs/promises';
import { Tokenizer as HuggingFaceTokenizer } from '@huggingface/tokenizers';
import type { Manifest } from '@segue/bundle';
import { SegueError } from '@segue/core';
import { canNeutralise } from './neutralise.js';

/** A bundle's `tokenizer.json`. */
export class Tokenizer {
  readonly #tokenizer: HuggingFaceTokenizer;
  readonly #controlIds: ReadonlySet<number>;
  readonly #hiddenIds: ReadonlySet<number>;
  /** Contents of all added tokens. */
  readonly controlTokens: readonly string[];

  /**
   * @param json the parsed `tokenizer.json`
   * @throws SegueError INTERNAL when it does not fit the manifest's token ids.
   */
  constructor(json: object, { ids, segToken }: Pick<Manifest['language'], 'ids' | 'segToken'>) {
    this.#tokenizer = new HuggingFaceTokenizer(json, { clean_up_tokenization_spaces: false });
    const added = this.#tokenizer.get_added_tokens_decoder();
    this.#controlIds = new Set(added.keys());
    const special = [...added.values()].filter((token) => token.special && token.id !== ids.seg);
    this.#hiddenIds = new Set(special.map((token) => token.id));
    this.controlTokens = [...added.values()].map((token) => token.content);

    const seg = this.encode(segToken);
    if (seg.length !== 1 || seg[0] !== ids.seg || !this.#controlIds.has(ids.seg)) {
      throw unfit(`reads ${segToken} as [${seg.join(', ')}] instead of the added token ${ids.seg}`);
    }
    if (!this.#controlIds.has(ids.image)) throw unfit(`has no added token ${ids.image} to stand for the picture`);
    const stubborn = this.controlTokens.find((token) => !canNeutralise(token));
    if (stubborn !== undefined) {
      throw unfit(`has the added token ${JSON.stringify(stubborn)}, which a space does not break`);
    }
  }

  static async load(file: string, language: Pick<Manifest['language'], 'ids' | 'segToken'>): Promise<Tokenizer> {
    return new Tokenizer(JSON.parse(await readFile(file, 'utf8')) as object, language);
  }

  /** Token ids of a text in which control tokens are written literally; nothing is put before or behind it. */
  encode(text: string): number[] {
    return this.#tokenizer.encode(text, { add_special_tokens: false }).ids;
  }

  /** The text of generated tokens; of the special tokens only `<SEG>` is shown. */
  decode(ids: readonly number[]): string {
    const shown = ids.filter((id) => !this.#hiddenIds.has(id));
    return shown.length === 0 ? '' : this.#tokenizer.decode(shown);
  }

  /** How many of the ids are control tokens. */
  countControls(ids: readonly number[]): number {
    return ids.filter((id) => this.#controlIds.has(id)).length;
  }
}

function unfit(problem: string): SegueError {
  return new SegueError('INTERNAL', `The bundle's tokenizer ${problem}. Export the bundle again.`);
}
