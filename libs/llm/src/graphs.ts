import { performance } from 'node:perf_hooks';
import type { Manifest } from '@segue/bundle';
import type { Fetches, Session } from '@segue/inference';
import { releaseMemory, type DType, type Tensor } from '@segue/tensors';
import { SegueError } from '@segue/core';
import type { Step } from './answer.js';
import { packKv, sliceLength, type KvBatch, type KvSlice } from './kv.js';
import type { LanguageObserver } from './observer.js';

/** New positions of one row behind what its cache holds. */
export interface PrefillRow {
  readonly ids: readonly number[];
  readonly past: readonly KvSlice[];
  /** `float32[1, visual, hidden]`, one for each image placeholder among the ids. */
  readonly visualTokens?: Tensor<'float32'>;
}

export interface Prefilled<R extends PrefillRow> {
  readonly row: R;
  /** The first step of what follows. */
  readonly step: Step;
  /** Cache of the new positions. */
  readonly kv: KvSlice;
}

/** Keys of the graphs that the language stage runs. */
export function languageGraphs({ language }: Manifest): string[] {
  return [language.prefill, language.decode, language.segHead];
}

/** The three graphs of the language stage as functions on rows. */
export class LanguageGraphs {
  readonly #sessions: { readonly prefill: Session; readonly decode: Session; readonly segHead: Session };
  readonly #language: Manifest['language'];
  readonly #observer: LanguageObserver;

  constructor(language: Manifest['language'], sessions: Readonly<Record<string, Session>>, observer: LanguageObserver) {
    const session = (key: string): Session => {
      const found = sessions[key];
      if (!found) throw new SegueError('INTERNAL', `No session is open for the graph "${key}". Open languageGraphs().`);
      return found;
    };
    this.#sessions = {
      prefill: session(language.prefill),
      decode: session(language.decode),
      segHead: session(language.segHead),
    };
    this.#language = language;
    this.#observer = observer;
  }

  /** Feeds each row's ids behind its past, all rows in one run. */
  async prefill<R extends PrefillRow>(rows: readonly R[]): Promise<Prefilled<R>[]> {
    const { kv, ids, hiddenSize } = this.#language;
    const lengths = rows.map((row) => row.ids.length);
    const longest = Math.max(...lengths);
    const pastLengths = rows.map((row) => sliceLength(row.past));
    const padded = rows.flatMap((row) => [...row.ids, ...new Array<number>(longest - row.ids.length).fill(ids.pad)]);
    const startedAt = performance.now();
    const fetches = await this.#sessions.prefill.run(
      {
        input_ids: int64(padded, [rows.length, longest]),
        lengths: int64(lengths, [rows.length]),
        visual_tokens: joinVisualTokens(rows, hiddenSize),
        past_kv: packKv(
          kv,
          rows.map((row) => row.past),
          Math.max(...pastLengths),
        ),
        past_lengths: int64(pastLengths, [rows.length]),
      },
      { transfer: ['past_kv', 'visual_tokens'] },
    );
    this.#observer.onPrefill?.({
      prefix: rows.some((row) => row.visualTokens !== undefined),
      rows: rows.length,
      tokens: lengths.reduce((sum, length) => sum + length, 0),
      seconds: secondsSince(startedAt),
    });
    const newKv = output(fetches, 'kv', 'float32');
    const tokens = output(fetches, 'token', 'int64').data;
    const logprobs = output(fetches, 'logprob', 'float32').data;
    const hidden = output(fetches, 'hidden', 'float32').data;
    return rows.map((row, at) => ({
      row,
      step: { token: Number(tokens[at]), logprob: logprobs[at] ?? NaN, state: vector(hidden, at, hiddenSize) },
      kv: { tensor: newKv, row: at, length: row.ids.length },
    }));
  }

  /** Goes `steps` greedy steps on from each row's last token and writes the new positions into the batch. */
  async decode<R extends { readonly lastToken: number }>(
    rows: readonly R[],
    batch: KvBatch,
    steps: number,
  ): Promise<{ readonly row: R; readonly steps: Step[] }[]> {
    const { hiddenSize } = this.#language;
    const startedAt = performance.now();
    const fetches = await this.#sessions.decode.run(
      {
        token: int64(
          rows.map((row) => row.lastToken),
          [rows.length],
        ),
        past_kv: batch.tensor,
        past_lengths: int64(batch.lengths, [rows.length]),
        steps: int64([steps], []),
      },
      { lend: ['past_kv'] },
    );
    this.#observer.onChunk?.({ rows: rows.length, steps, seconds: secondsSince(startedAt) });
    const kv = output(fetches, 'kv', 'float32');
    batch.append(output(fetches, 'past_kv', 'float32'), kv, steps);
    releaseMemory(kv.data);
    const tokens = output(fetches, 'tokens', 'int64').data;
    const logprobs = output(fetches, 'logprobs', 'float32').data;
    const hidden = output(fetches, 'hidden', 'float32').data;
    return rows.map((row, place) => ({
      row,
      steps: Array.from({ length: steps }, (_, step) => {
        const at = place * steps + step;
        return { token: Number(tokens[at]), logprob: logprobs[at] ?? NaN, state: vector(hidden, at, hiddenSize) };
      }),
    }));
  }

  /** `float32[promptSize]` for each `<SEG>` state, in one run (text_hidden_fcs of LISA). */
  async segEmbeddings(states: readonly Float32Array[]): Promise<Float32Array[]> {
    if (states.length === 0) return [];
    const { hiddenSize, promptSize } = this.#language;
    const hidden = new Float32Array(states.length * hiddenSize);
    states.forEach((state, index) => hidden.set(state, index * hiddenSize));
    const fetches = await this.#sessions.segHead.run({
      hidden: { dtype: 'float32', shape: [states.length, hiddenSize], data: hidden },
    });
    const { data } = output(fetches, 'seg_embeddings', 'float32');
    return states.map((_, index) => vector(data, index, promptSize).slice());
  }
}

/** `float32[rows, visual, hidden]`, padded to the row with the most; one zero vector each when no row has placeholders. */
function joinVisualTokens(rows: readonly PrefillRow[], hiddenSize: number): Tensor<'float32'> {
  const visual = Math.max(...rows.map((row) => row.visualTokens?.shape[1] ?? 1));
  const data = new Float32Array(rows.length * visual * hiddenSize);
  rows.forEach((row, index) => {
    if (row.visualTokens) data.set(row.visualTokens.data, index * visual * hiddenSize);
  });
  return { dtype: 'float32', shape: [rows.length, visual, hiddenSize], data };
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
