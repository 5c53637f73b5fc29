import { loadBundle } from '@segue/bundle';
import type { Answer } from '@segue/core';
import { closedLoop } from '@segue/load';
import { openPipeline, type PipelineOptions } from './pipelines.js';
import { questionsOf, type Question } from './questions.js';

export interface IndependenceOptions {
  readonly bundleDir: string;
  /** Folder of photos. */
  readonly photos: string;
  readonly questions: number;
  /** Names of ways; all unless given. */
  readonly ways?: readonly string[];
  readonly onWay?: (report: WayReport) => void;
}

/** How the answers of one way compare with those of the same questions asked alone. */
export interface WayReport {
  readonly way: string;
  readonly questions: number;
  /** Answers whose words, whose masks, or whose scores differ in any bit. */
  readonly words: number;
  readonly masks: number;
  readonly scores: number;
  /** Most answers that were written at the same time. */
  readonly mostRows: number;
  /** Questions whose picture's prefix was taken from the cache. */
  readonly hits: number;
  readonly elapsedMs: number;
  /** The first question that was answered otherwise. */
  readonly example?: string;
}

const ALONE: PipelineOptions = { threads: 1, maxBatch: 1, prefixCacheBytes: 0 };
const CACHE_BYTES = 256 * 1024 * 1024;
/** Questions in flight; few questions are all asked at once. */
const BATCHES = [8, 7, 6, 5, 4, 3, 2];
const QUESTIONS_A_BATCH = 10;

interface Way {
  readonly way: string;
  readonly options: PipelineOptions;
  /** Questions in flight; the list is cut into as many parts. */
  readonly clients: readonly number[];
}

const WAYS: readonly Way[] = [
  { way: 'again, alone', options: ALONE, clients: [1] },
  // Answers are of different lengths, so that rows leave and join while others are being written.
  { way: 'in batches of 2 to 8', options: { ...ALONE, maxBatch: 8 }, clients: BATCHES },
  { way: 'with two threads', options: { ...ALONE, threads: 2 }, clients: [1] },
  { way: 'with cached prefixes', options: { ...ALONE, prefixCacheBytes: CACHE_BYTES }, clients: [1] },
  { way: 'all of it', options: { threads: 2, maxBatch: 8, prefixCacheBytes: CACHE_BYTES }, clients: [8] },
];

/** Asks every question alone, and then in company and by other means: is it the same answer, bit by bit? */
export async function runIndependence(options: IndependenceOptions): Promise<WayReport[]> {
  const bundle = await loadBundle(options.bundleDir);
  const { maxNewTokens: maxTokens } = bundle.manifest.language.limits;
  const questions = await questionsOf(bundle, options.photos, options.questions);

  const answersOf = async ({ options: open, clients }: Omit<Way, 'way'>) => {
    const opened = await openPipeline(bundle, open);
    const answers: Answer[] = [];
    const ask = async (index: number) => {
      const { imageId, picture, instruction } = questions[index] as Question;
      const request = { imageId, instruction, history: [], mode: 'answer', maxTokens } as const;
      answers[index] = await opened.pipeline.segment(picture, request);
    };
    const begunAt = performance.now();
    try {
      for (const [part, count] of clients.entries()) {
        const own = [...questions.keys()].filter((index) => index % clients.length === part);
        const { outcomes } = await closedLoop(ask, own, count);
        for (const { error } of outcomes) if (error !== undefined) throw new Error(error);
      }
    } finally {
      await opened.close();
    }
    return {
      answers,
      mostRows: Math.max(0, ...opened.rows),
      hits: opened.hits(),
      elapsedMs: performance.now() - begunAt,
    };
  };

  const alone = await answersOf({ options: ALONE, clients: [1] });
  const reports: WayReport[] = [];
  const most = Math.ceil(questions.length / QUESTIONS_A_BATCH);
  for (const { way, options: open, clients } of WAYS) {
    if (options.ways && !options.ways.includes(way)) continue;
    const { answers, ...figures } = await answersOf({ options: open, clients: clients.slice(0, most) });
    const differing = (part: (answer: Answer) => unknown) =>
      answers.flatMap((answer, index) => (same(part(answer), part(alone.answers[index] as Answer)) ? [] : [index]));
    const words = differing(({ text, finishReason }) => [text, finishReason]);
    const masks = differing(({ segments }) => segments.map(({ mask }) => mask));
    const scores = differing(({ segments }) => segments.map(({ score }) => score));
    const [first] = [...words, ...masks];
    const report: WayReport = {
      way,
      questions: questions.length,
      words: words.length,
      masks: masks.length,
      scores: scores.length,
      ...figures,
      ...(first !== undefined && {
        example: `“${questions[first]?.instruction}”: “${answers[first]?.text}”, alone “${alone.answers[first]?.text}”`,
      }),
    };
    reports.push(report);
    options.onWay?.(report);
  }
  return reports;
}

function same(a: unknown, b: unknown): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}
