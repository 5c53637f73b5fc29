import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Manifest } from '@segue/bundle';
import type { Feeds, Fetches, RunOptions, Session } from '@segue/inference';
import { elementCount, type Tensor } from '@segue/tensors';
import { BYTE_TOKENS, byteTokenizer } from './byte-tokenizer.js';

/** One run of a graph, for counting; the language graph reads newcomers and writes the answers of a batch. */
export interface EchoRun {
  readonly graph: 'prefill' | 'decode' | 'segHead';
  readonly rows: number;
  /** New positions of the longest row; states for `segHead`. */
  readonly positions: number;
}

const KV = { layers: 2, heads: 2, headDim: 3 };
const HIDDEN = 4;
/** Added to a visual token's first value to tell it from a token id in the cache. */
const VISUAL = 1000;
/** Set apart the entries of one position, so that a cache put together wrongly is noticed. */
const PLANE = 2000;

/**
 * A language model of two fake sessions that answers with the words of the last question, `@` read as `<SEG>`. All it
 * knows of the prompt it reads from the key/value cache it is fed, where it keeps one code per position; a cache that is
 * not as its graphs wrote it makes it throw. A `~` has the probability NaN, and the state behind a `^` is NaN. A state is
 * [positions so far, first visual value, last token, 1], and a segment's embedding is the state doubled.
 */
export class EchoLanguageModel {
  readonly runs: EchoRun[] = [];
  /** Thrown by the next run of a graph. */
  readonly failures = new Map<EchoRun['graph'], Error>();
  /** Awaited before each run, so that a test can hold the model. */
  gate: (run: EchoRun) => Promise<void> = () => Promise.resolve();
  readonly language: Manifest['language'];
  readonly #dir = mkdtempSync(join(tmpdir(), 'segue-echo-'));

  constructor(changed: Partial<Manifest['language']> = {}) {
    this.language = { ...ECHO_LANGUAGE, ...changed };
    writeFileSync(this.file('tokenizer.json'), JSON.stringify(byteTokenizer()));
  }

  /** The parts of a bundle that the language stage reads. */
  get manifest(): { language: Manifest['language'] } {
    return { language: this.language };
  }

  file(name: string): string {
    return join(this.#dir, name);
  }

  remove(): void {
    rmSync(this.#dir, { recursive: true });
  }

  /** `float32[1, 2, hidden]` of a picture that is this number. */
  static visualTokens(picture: number): Tensor<'float32'> {
    return float32([1, 2, HIDDEN], Float32Array.of(picture, 0, 0, 0, picture, 1, 1, 1));
  }

  readonly sessions: Readonly<Record<string, Session>> = {
    language: this.#session((feeds) => this.#read(feeds)),
    seg_head: this.#session((feeds) => {
      const hidden = read(feeds, 'hidden', 'float32');
      return {
        seg_embeddings: float32(
          hidden.shape,
          hidden.data.map((value) => 2 * value),
        ),
      };
    }),
  };

  #session(compute: (feeds: Feeds) => Fetches): Session {
    return {
      run: async (feeds: Feeds, { lend = [] }: RunOptions = {}): Promise<Fetches> => {
        const [rows = 0, longest = 1] = (feeds['input_ids'] ?? feeds['hidden'])?.shape ?? [];
        // A batch keeps its cache, newcomers give theirs away.
        const graph = feeds['hidden'] ? 'segHead' : lend.includes('past_kv') ? 'decode' : 'prefill';
        const run: EchoRun = { graph, rows, positions: graph === 'segHead' ? rows : longest };
        this.runs.push(run);
        await this.gate(run);
        const failure = this.failures.get(graph);
        this.failures.delete(graph);
        if (failure) throw failure;
        const lent = Object.entries(feeds).filter(([name]) => lend.includes(name));
        return { ...compute(feeds), ...Object.fromEntries(lent) };
      },
    };
  }

  #read(feeds: Feeds): Fetches {
    const ids = read(feeds, 'input_ids', 'int64');
    const lengths = read(feeds, 'lengths', 'int64').data;
    const visual = read(feeds, 'visual_tokens', 'float32');
    const last = Number(read(feeds, 'last', 'int64').data[0]);
    const [rows = 0, longest = 0] = ids.shape;
    const pasts = readCodes(feeds);
    const codes = pasts.map((_, row) => {
      let seen = 0;
      const own = Array.from(ids.data.subarray(row * longest, row * longest + Number(lengths[row])), Number);
      return own.map((id) => {
        if (id !== BYTE_TOKENS.image) return id;
        const [, perRow = 0] = visual.shape;
        return VISUAL + (visual.data[(row * perRow + seen++) * HIDDEN] ?? NaN);
      });
    });
    const steps = pasts.flatMap((past, row) => {
      const own = codes[row] ?? [];
      return Array.from({ length: last }, (_, at) =>
        next([...past, ...own.slice(0, Math.max(1, own.length - last + 1 + at))]),
      );
    });
    return {
      kv: writeCodes(codes, longest),
      hidden: float32([rows, last, HIDDEN], Float32Array.from(steps.flatMap((step) => step.state))),
      tokens: int64(
        [rows, last],
        steps.map((step) => step.token),
      ),
      logprobs: float32(
        [rows, last],
        Float32Array.from(steps, (step) => step.logprob),
      ),
    };
  }
}

/** The next token of the echo: what of the question has not been said yet, then the end, then rubbish. */
function next(codes: readonly number[]): { token: number; logprob: number; state: number[] } {
  const answer = codes.lastIndexOf(BYTE_TOKENS.start) + 1 + 'assistant\n'.length;
  const questionEnd = codes.lastIndexOf(BYTE_TOKENS.end, answer - 1);
  const turn = codes.lastIndexOf(BYTE_TOKENS.start, questionEnd) + 1 + 'user\n'.length;
  const picture = codes.findLastIndex((code) => code >= VISUAL) + 1 + '\n'.length;
  const question = codes.slice(Math.max(turn, picture), questionEnd);
  const said = codes.length - answer;
  const token = said < question.length ? question[said] : said === question.length ? BYTE_TOKENS.end : 33;
  const visual = (codes.find((code) => code >= VISUAL) ?? NaN) - VISUAL;
  const broken = token === '~'.charCodeAt(0);
  return {
    token: token === '@'.charCodeAt(0) ? BYTE_TOKENS.seg : (token ?? 33),
    logprob: broken ? NaN : -0.5,
    state: [codes.length, visual, codes.at(-1) === '^'.charCodeAt(0) ? NaN : (codes.at(-1) ?? NaN), 1],
  };
}

/** Each row's codes as the cache holds them. */
function readCodes(feeds: Feeds): number[][] {
  const { data, shape } = read(feeds, 'past_kv', 'float32');
  const [planes = 0, rows = 0, heads = 0, positions = 0, size = 0] = shape;
  if (data.length !== elementCount(shape)) throw new Error(`past_kv of ${shape.join('x')} holds ${data.length} values`);
  const lengths = read(feeds, 'past_lengths', 'int64').data;
  return Array.from({ length: rows }, (_, row) =>
    Array.from({ length: Number(lengths[row]) }, (_, position) => {
      const entries = Array.from({ length: planes * heads * size }, (_, entry) => {
        const [plane, head, d] = [Math.floor(entry / (heads * size)), Math.floor(entry / size) % heads, entry % size];
        return (data[(((plane * rows + row) * heads + head) * positions + position) * size + d] ?? NaN) - entry * PLANE;
      });
      const [code = NaN] = entries;
      if (!entries.every((entry) => entry === code)) throw new Error(`the cache of row ${row} is mixed up`);
      return code;
    }),
  );
}

function writeCodes(rows: readonly (readonly number[])[], positions: number): Tensor<'float32'> {
  const planes = 2 * KV.layers;
  const values: number[] = [];
  for (let plane = 0; plane < planes; plane++) {
    for (const codes of rows) {
      for (let head = 0; head < KV.heads; head++) {
        for (let position = 0; position < positions; position++) {
          for (let d = 0; d < KV.headDim; d++) {
            values.push((codes[position] ?? NaN) + ((plane * KV.heads + head) * KV.headDim + d) * PLANE);
          }
        }
      }
    }
  }
  return float32([planes, rows.length, KV.heads, positions, KV.headDim], Float32Array.from(values));
}

function read<D extends 'float32' | 'int64'>(feeds: Feeds, name: string, dtype: D): Tensor<D> {
  const tensor = feeds[name];
  if (tensor?.dtype !== dtype) throw new Error(`${name} must be ${dtype}`);
  return tensor as Tensor<D>;
}

function float32(shape: readonly number[], data: Float32Array<ArrayBuffer>): Tensor<'float32'> {
  return { dtype: 'float32', shape, data };
}

function int64(shape: readonly number[], values: readonly number[]): Tensor<'int64'> {
  return { dtype: 'int64', shape, data: BigInt64Array.from(values, BigInt) };
}

const ECHO_LANGUAGE: Manifest['language'] = {
  graph: 'language',
  segHead: 'seg_head',
  tokenizer: { file: 'tokenizer.json', sha256: '', bytes: 0 },
  ids: { seg: BYTE_TOKENS.seg, image: BYTE_TOKENS.image, end: [BYTE_TOKENS.end], bos: null, pad: BYTE_TOKENS.end },
  segToken: '<SEG>',
  template: {
    imagePrefix: '<|im_start|>user\n',
    firstQuestion: '\n{text}<|im_end|>\n<|im_start|>assistant\n',
    answer: '{text}<|im_end|>\n',
    nextQuestion: '<|im_start|>user\n{text}<|im_end|>\n<|im_start|>assistant\n',
  },
  modes: { answer: { answerPrefix: '' }, maskOnly: { answerPrefix: '' } },
  usualAnswers: [],
  segState: 'before',
  phrasePattern: '(?:the|a|an) [^,.;:<>]*?$',
  kv: KV,
  hiddenSize: HIDDEN,
  promptSize: HIDDEN,
  limits: {
    contextTokens: 300,
    maxQuestionTokens: 100,
    maxNewTokens: 60,
    maxSegments: 3,
    maxBatch: 4,
  },
};
