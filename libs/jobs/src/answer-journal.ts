import { SegueError } from '@segue/core';
import type { SegmentPrompt, TextPiece } from '@segue/stages';
import type { JobStore } from './job-store.js';

export interface AnswerJournalOptions {
  readonly store: JobStore;
  readonly jobId: string;
  /** Of the answer as the job record has it when the run begins. */
  readonly epoch: number;
  /** Adds the task that makes a mask. */
  readonly addDecode: (prompt: SegmentPrompt, epoch: number) => Promise<void>;
}

/**
 * What one run of the language model writes. A run that says what an earlier one has said goes on where that stood; one that
 * says something else begins the answer anew, so that a log never mixes two answers and always ends as the answer does.
 */
export class AnswerJournal {
  readonly #options: AnswerJournalOptions;
  readonly #prompts: SegmentPrompt[] = [];
  #epoch: number;
  #text = '';

  constructor(options: AnswerJournalOptions) {
    this.#options = options;
    this.#epoch = options.epoch;
  }

  /** Of the answer that is being written. */
  get epoch(): number {
    return this.#epoch;
  }

  async writeText({ offset, text }: TextPiece): Promise<void> {
    const before = this.#text;
    this.#text += text;
    await this.#append(before, offset, text);
  }

  async addDecode(prompt: SegmentPrompt): Promise<void> {
    this.#prompts.push(prompt);
    await this.#options.addDecode(prompt, this.#epoch);
  }

  /** The run has ended: the log must say no more than it did. */
  async end(): Promise<void> {
    const { store, jobId } = this.#options;
    if ((await store.textBytes(jobId)) > Buffer.byteLength(this.#text)) await this.#restart();
  }

  async #append(before: string, offset: number, text: string): Promise<void> {
    const { store, jobId } = this.#options;
    const event = JSON.stringify({ type: 'text', offset, text });
    const outcome = await store.scripts.appendText(jobId, Buffer.byteLength(before), text, event, this.#epoch);
    switch (outcome) {
      case 'there':
      case 'ended':
        return;
      case 'gap':
        throw new Error(`text at ${offset} leaves a gap in the log of job ${jobId}`);
      case 'diverged':
        return this.#restart();
      case 'superseded':
        throw superseded();
      default: {
        // The log ends between two characters of the same text.
        const known = Buffer.from(text).subarray(0, outcome.knownBytes).toString();
        return this.#append(before + known, offset + Array.from(known).length, text.slice(known.length));
      }
    }
  }

  async #restart(): Promise<void> {
    const { store, jobId, addDecode } = this.#options;
    const epoch = await store.scripts.restart(jobId, this.#epoch, JSON.stringify({ type: 'restarted' }));
    if (epoch === 'ended') return;
    if (epoch === 'superseded') throw superseded();
    this.#epoch = epoch;
    await this.#append('', 0, this.#text);
    for (const prompt of this.#prompts) await addDecode(prompt, epoch);
  }
}

export function superseded(): SegueError {
  return new SegueError('UNAVAILABLE', 'Another worker took the task over.', { reason: 'SUPERSEDED' });
}
