import { performance } from 'node:perf_hooks';
import type { Manifest } from '@segue/bundle';
import type { AsyncContext, Fetches, RunOptions, Session } from '@segue/inference';
import { releaseMemory, type DType, type Tensor } from '@segue/tensors';
import { SegueError } from '@segue/core';
import type { Step } from './answer.js';
import { packKv, sliceLength, type KvBatch, type KvSlice, type KvTensor } from './kv.js';
import type { LanguageObserver } from './observer.js';

/** New tokens of one row. */
export interface NewTokens {
  readonly ids: readonly number[];
  /** How many of the ids, at their end, are a guess of what the model would write. */
  readonly drafted?: number;
  /** Whether the answer begins behind the ids that are no guess. */
  readonly startsAnswer?: boolean;
  /** `float32[1, visual, hidden]`, one for each image placeholder among the ids. */
  readonly visualTokens?: Tensor<'float32'>;
  /** Those for whom it is computed. */
  readonly askers: readonly Asker[];
}

interface Asker {
  readonly within: AsyncContext;
}

/** New tokens behind what a row's cache holds. */
export interface PrefillRow extends NewTokens {
  readonly past: readonly KvSlice[];
}

export interface Read<R extends NewTokens> {
  readonly row: R;
  /** What the model chose: behind the ids that are no guess, and behind each guessed one that it would have chosen itself. */
  readonly steps: readonly Step[];
  /** Cache of the new tokens that count. */
  readonly kv: KvSlice;
}

/** Keys of the graphs that the language stage runs. */
export function languageGraphs({ language }: Manifest): string[] {
  return [language.graph, language.segHead];
}

/** The graphs of the language stage as functions on rows. */
export class LanguageGraphs {
  readonly #sessions: { readonly graph: Session; readonly segHead: Session };
  readonly #language: Manifest['language'];
  readonly #observer: LanguageObserver;

  constructor(language: Manifest['language'], sessions: Readonly<Record<string, Session>>, observer: LanguageObserver) {
    const session = (key: string): Session => {
      const found = sessions[key];
      if (!found) throw new SegueError('INTERNAL', `No session is open for the graph "${key}". Open languageGraphs().`);
      return found;
    };
    this.#sessions = { graph: session(language.graph), segHead: session(language.segHead) };
    this.#language = language;
    this.#observer = observer;
  }

  /** Feeds each row's ids behind its past, all rows in one run. */
  async prefill<R extends PrefillRow>(rows: readonly R[]): Promise<Read<R>[]> {
    const pastLengths = rows.map((row) => sliceLength(row.past));
    const past = packKv(
      this.#language.kv,
      rows.map((row) => row.past),
      Math.max(...pastLengths),
    );
    const startedAt = performance.now();
    const { read } = await this.#run(rows, past, pastLengths, { transfer: ['past_kv', 'visual_tokens'] });
    this.#observer.onPrefill?.({
      prefix: rows.some((row) => row.visualTokens !== undefined),
      rows: rows.length,
      tokens: rows.reduce((sum, { ids }) => sum + ids.length, 0),
      seconds: secondsSince(startedAt),
    });
    return read;
  }

  /** Goes on from each row of the batch, and writes the new positions into it. */
  async decode<R extends NewTokens>(rows: readonly R[], batch: KvBatch): Promise<Read<R>[]> {
    const startedAt = performance.now();
    const { read, past } = await this.#run(rows, batch.tensor, batch.lengths, { lend: ['past_kv'] });
    this.#observer.onDecode?.({
      rows: rows.length,
      drafted: rows.reduce((sum, { drafted = 0 }) => sum + drafted, 0),
      accepted: read.reduce((sum, { steps }) => sum + steps.length - 1, 0),
      seconds: secondsSince(startedAt),
    });
    batch.append(
      past(),
      read.map(({ kv }) => kv),
    );
    const [first] = read;
    if (first) releaseMemory(first.kv.tensor.data);
    return read;
  }

  async #run<R extends NewTokens>(
    rows: readonly R[],
    pastKv: KvTensor,
    pastLengths: readonly number[],
    options: RunOptions,
  ): Promise<{ readonly read: Read<R>[]; readonly past: () => KvTensor }> {
    const { ids: special, hiddenSize } = this.#language;
    const lengths = rows.map(({ ids }) => ids.length);
    const longest = Math.max(...lengths);
    const last = 1 + Math.max(...rows.map(({ drafted = 0 }) => drafted));
    const padded = rows.flatMap(({ ids }) => [...ids, ...new Array<number>(longest - ids.length).fill(special.pad)]);
    const starts = rows.map(({ ids, drafted = 0, startsAnswer }) => (startsAnswer ? ids.length - drafted - 1 : -1));
    const fetches = await this.#sessions.graph.run(
      {
        input_ids: int64(padded, [rows.length, longest]),
        lengths: int64(lengths, [rows.length]),
        visual_tokens: joinVisualTokens(rows, hiddenSize),
        past_kv: pastKv,
        past_lengths: int64(pastLengths, [rows.length]),
        answer_starts: int64(starts, [rows.length]),
        last: int64([last], []),
      },
      { ...options, within: contextsOf(rows.flatMap(({ askers }) => askers)) },
    );
    const kv = output(fetches, 'kv', 'float32');
    const tokens = output(fetches, 'tokens', 'int64').data;
    const logprobs = output(fetches, 'logprobs', 'float32').data;
    const hidden = output(fetches, 'hidden', 'float32').data;
    const read = rows.map((row, place): Read<R> => {
      const { ids, drafted = 0 } = row;
      const chosen = Array.from({ length: drafted + 1 }, (_, step): Step => {
        const at = (place + 1) * last - drafted - 1 + step;
        return { token: Number(tokens[at]), logprob: logprobs[at] ?? NaN, state: vector(hidden, at, hiddenSize) };
      });
      const guessed = ids.slice(ids.length - drafted);
      const wrong = guessed.findIndex((token, at) => token !== chosen[at]?.token);
      const accepted = wrong < 0 ? drafted : wrong;
      return {
        row,
        steps: chosen.slice(0, accepted + 1),
        kv: { tensor: kv, row: place, length: ids.length - drafted + accepted },
      };
    });
    return { read, past: () => output(fetches, 'past_kv', 'float32') };
  }

  /** `float32[promptSize]` for each `<SEG>` state, in one run (text_hidden_fcs of LISA). */
  async segEmbeddings(states: readonly Float32Array[], askers: readonly Asker[]): Promise<Float32Array[]> {
    if (states.length === 0) return [];
    const { hiddenSize, promptSize } = this.#language;
    const hidden = new Float32Array(states.length * hiddenSize);
    states.forEach((state, index) => hidden.set(state, index * hiddenSize));
    const feeds = { hidden: { dtype: 'float32', shape: [states.length, hiddenSize], data: hidden } } as const;
    const fetches = await this.#sessions.segHead.run(feeds, { within: contextsOf(askers) });
    const { data } = output(fetches, 'seg_embeddings', 'float32');
    return states.map((_, index) => vector(data, index, promptSize).slice());
  }
}

/** `float32[rows, visual, hidden]`, padded to the row with the most; one zero vector each when no row has placeholders. */
function joinVisualTokens(rows: readonly NewTokens[], hiddenSize: number): Tensor<'float32'> {
  const visual = Math.max(...rows.map((row) => row.visualTokens?.shape[1] ?? 1));
  const data = new Float32Array(rows.length * visual * hiddenSize);
  rows.forEach((row, index) => {
    if (row.visualTokens) data.set(row.visualTokens.data, index * visual * hiddenSize);
  });
  return { dtype: 'float32', shape: [rows.length, visual, hiddenSize], data };
}

function contextsOf(askers: readonly Asker[]): AsyncContext[] {
  return askers.map(({ within }) => within);
}

function int64(values: readonly number[], shape: readonly number[]): Tensor<'int64'> {
  return { dtype: 'int64', shape, data: BigInt64Array.from(values, BigInt) };
}

function vector(data: Float32Array, index: number, size: number): Float32Array {
  return data.subarray(index * size, (index + 1) * size);
}

function output<D extends DType>(fetches: Fetches, name: string, dtype: D): Tensor<D> {
  const tensor = fetches[name];
  if (tensor?.dtype === dtype) return tensor as Tensor<D>;
  throw new SegueError('INTERNAL', 'The model failed on this request. Report the job id.', {
    cause: new Error(`The graph gave ${tensor?.dtype ?? 'nothing'} as "${name}" instead of ${dtype}`),
  });
}

function secondsSince(startedAt: number): number {
  return (performance.now() - startedAt) / 1000;
}
