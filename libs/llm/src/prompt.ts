import type { Manifest } from '@segue/bundle';
import { SegueError, type Mode, type Turn } from '@segue/core';
import { neutralise } from './neutralise.js';
import type { Tokenizer } from './tokenizer.js';

/** What a person asks about a picture. */
export interface Question {
  readonly instruction: string;
  readonly history: readonly Turn[];
  readonly mode: Mode;
}

/**
 * Builds prompts by the manifest's template. A prompt is the picture's prefix, which is the same for every question on
 * it, and a tail that holds the conversation.
 */
export class PromptBuilder {
  readonly #language: Manifest['language'];
  readonly #tokenizer: Tokenizer;
  readonly #prefix: readonly number[];

  constructor(language: Manifest['language'], tokenizer: Tokenizer) {
    this.#language = language;
    this.#tokenizer = tokenizer;
    const { ids, template } = language;
    this.#prefix = [...(ids.bos === null ? [] : [ids.bos]), ...tokenizer.encode(template.imagePrefix)];
  }

  /** Token ids of a picture's prefix; `visual`: its visual tokens, each behind one placeholder. */
  prefix(visual: number): number[] {
    return [...this.#prefix, ...new Array<number>(visual).fill(this.#language.ids.image)];
  }

  /**
   * Token ids of the conversation behind the picture's prefix, up to where the answer begins.
   * @throws SegueError INVALID_ARGUMENT when the question is too long or the model does not know the mode.
   */
  tail(question: Question): number[] {
    const { modes, limits } = this.#language;
    const mode = question.mode === 'mask_only' ? modes.maskOnly : modes.answer;
    if (!mode) {
      throw new SegueError('INVALID_ARGUMENT', 'This model has no mode "mask_only". Ask in mode "answer".');
    }
    const instruction = neutralise(question.instruction, this.#tokenizer.controlTokens);
    const length = this.#tokenizer.encode(instruction).length;
    if (length > limits.maxQuestionTokens) {
      throw new SegueError(
        'INVALID_ARGUMENT',
        `The instruction is ${length} tokens long and this model reads at most ${limits.maxQuestionTokens}. ` +
          `Shorten it to about ${Math.round((100 * limits.maxQuestionTokens) / length)} % of its length.`,
        { details: { tokens: length, maxTokens: limits.maxQuestionTokens } },
      );
    }
    const ids = this.#tokenizer.encode(this.#conversation(instruction, question.history) + mode.answerPrefix);
    this.#checkControls(ids, question.history, mode.answerPrefix);
    return ids;
  }

  /**
   * How many tokens the answer may have, at least one.
   * @param wanted as many as the model writes unless given.
   * @throws SegueError INVALID_ARGUMENT when prompt and answer do not fit into the model's context together.
   */
  room(promptTokens: number, wanted?: number): number {
    const { contextTokens, maxNewTokens } = this.#language.limits;
    const room = Math.max(1, Math.min(wanted ?? maxNewTokens, maxNewTokens));
    if (promptTokens + room > contextTokens) {
      throw new SegueError(
        'INVALID_ARGUMENT',
        `The picture and the conversation take ${promptTokens} tokens and the answer up to ${room} more; this model ` +
          `holds ${contextTokens}. Leave out the oldest turns of the history, shorten the instruction or lower max_tokens.`,
        { details: { promptTokens, answerTokens: room, contextTokens } },
      );
    }
    return room;
  }

  #conversation(instruction: string, history: readonly Turn[]): string {
    const { template, segToken } = this.#language;
    const { controlTokens } = this.#tokenizer;
    const asked = [...history.map((turn) => neutralise(turn.instruction, controlTokens)), instruction];
    return asked
      .map((text, index) => {
        const question = fill(index === 0 ? template.firstQuestion : template.nextQuestion, text);
        const turn = history[index];
        return turn ? question + fill(template.answer, neutralise(turn.answer, controlTokens, segToken)) : question;
      })
      .join('');
  }

  /** A second line of defence: a normaliser of the tokenizer may turn look-alike characters into a control token. */
  #checkControls(ids: readonly number[], history: readonly Turn[], answerPrefix: string): void {
    const { segToken } = this.#language;
    const blank = this.#conversation(
      '',
      history.map(({ answer }) => ({ instruction: '', answer: segToken.repeat(answer.split(segToken).length - 1) })),
    );
    const expected = this.#tokenizer.countControls(this.#tokenizer.encode(blank + answerPrefix));
    if (this.#tokenizer.countControls(ids) === expected) return;
    throw new SegueError(
      'INVALID_ARGUMENT',
      'The instruction or the history holds characters that this model reads as control tokens. ' +
        'Write them in plain letters, without angle or vertical brackets.',
    );
  }
}

function fill(template: string, text: string): string {
  return template.replace('{text}', () => text);
}
