import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { loadBundle, type Bundle } from '@segue/bundle';
import { decoderGraphs } from '@segue/decoder';
import { encoderGraphs } from '@segue/encoder';
import { DEFAULT_PICTURE_LIMITS, decodePicture, preprocess } from '@segue/imaging';
import type { SessionGroup } from '@segue/inference';
import { languageGraphs } from '@segue/llm';
import { openSessions } from '@segue/onnx';
import { openModels, Pipeline } from '@segue/pipeline';
import type { Question } from '../workload.js';
import { BUNDLE, ROOT } from '../workspace.js';
import type { Reply, StageTimes } from './contestant.js';
import { openDirectSessions, spentMs } from './direct-sessions.js';
import { EventWatch, toReply } from './interfaces.js';
import { LanguageRuns, medianRuns, type LanguageRun } from './language-runs.js';

export type Mode = 'bare' | 'pipeline';

export type Task =
  | { readonly type: 'ready' }
  | { readonly type: 'ask'; readonly question: Question }
  | { readonly type: 'write'; readonly jobs: number }
  | { readonly type: 'batches' };

export type Ended = { readonly id: number } & ({ readonly result: unknown } | { readonly error: string });

const PREFIX_CACHE_BYTES = 2 ** 28;
/** An answer with three masks: some twenty tokens. */
const LONG_QUESTION = 'Segment the cup, the spoon and the plate.';
/** Rows of the batches whose runs are timed, and how often. */
const BATCHES = { rows: [1, 2, 4, 8], times: 3 };

const mode = process.argv[2] as Mode;
const bundle = await loadBundle(BUNDLE);
const { manifest } = bundle;
const graphs = {
  encode: encoderGraphs(manifest),
  generate: languageGraphs(manifest),
  decode: decoderGraphs(manifest),
};
// A thread for each stage, as the workers have.
const groups = await Promise.all(Object.values(graphs).map((keys) => open(bundle, keys)));
const sessions = Object.assign({}, ...groups.map((group) => group.sessions));
const observer = new LanguageRuns();
const models = await openModels(bundle, sessions, { preprocess, prefixCacheBytes: PREFIX_CACHE_BYTES, observer });
const { encoder, languageModel } = models;
const { visualTokens } = manifest.encoder;
const { maxNewTokens: maxTokens } = manifest.language.limits;
const pipeline = new Pipeline(bundle, models);

process.on('message', ({ id, task }: { id: number; task: Task }) => {
  perform(task).then(
    (result) => process.send?.({ id, result } satisfies Ended),
    (error: unknown) => process.send?.({ id, error: String(error) } satisfies Ended),
  );
});
process.once('disconnect', () => void close());

async function perform(task: Task): Promise<unknown> {
  switch (task.type) {
    case 'ask':
      return answer(task.question);
    case 'write':
      return tokensPerSecond(task.jobs);
    case 'batches':
      return batches();
    case 'ready':
      return undefined;
  }
}

async function answer({ picture, instruction }: Question): Promise<Reply> {
  const [startedAt, spentBefore, watch] = [performance.now(), spent(), new EventWatch()];
  const runsBefore = observer.runs.length;
  const imageId = createHash('sha256').update(picture).digest('hex');
  const image = await decodePicture(picture, DEFAULT_PICTURE_LIMITS);
  const request = { imageId, instruction, history: [], mode: 'answer', maxTokens } as const;
  const found = await pipeline.segment(image, request, { onEvent: ({ type }) => watch.see(type) });
  const reply = { ...toReply({ ...found, timings_ms: found.timingsMs }), ...watch.times };
  if (mode === 'pipeline') return { ...reply, tookMs: performance.now() - startedAt };
  const stageMs = mapStages((stage) => spent()[stage] - spentBefore[stage]);
  const steps = observer.runs.slice(runsBefore).filter(({ reading }) => reading === 'step').length;
  return { ...reply, tookMs: stageMs.encode + stageMs.generate + stageMs.decode, stageMs, steps };
}

/** What the graphs of each stage have taken so far. */
function spent(): StageTimes {
  return mapStages((stage) => spentMs(graphs[stage]));
}

function mapStages(time: (stage: keyof StageTimes) => number): StageTimes {
  return { encode: time('encode'), generate: time('generate'), decode: time('decode') };
}

/** Writes long answers about the example photo, one for each id that it goes by. */
async function openWriter(): Promise<(imageIds: readonly string[]) => Promise<{ readonly tokens: number }[]>> {
  const photo = readFileSync(join(ROOT, 'examples/coffee.jpg'));
  const tensors = await encoder.encode(await decodePicture(photo, DEFAULT_PICTURE_LIMITS));
  const write = (imageId: string) =>
    languageModel.generate({
      imageId,
      instruction: LONG_QUESTION,
      history: [],
      mode: 'answer',
      maxTokens,
      signal: new AbortController().signal,
      visualTokens: async () => {
        const tokens = tensors[visualTokens];
        if (!tokens) throw new Error('the encoder gave no visual tokens');
        return tokens;
      },
    });
  return (imageIds) => Promise.all(imageIds.map(write));
}

async function tokensPerSecond(jobs: number): Promise<number> {
  const write = await openWriter();
  await write(['coffee']); // from here on the picture's prefix is there
  const startedAt = performance.now();
  const written = await write(new Array<string>(jobs).fill('coffee'));
  return (written.reduce((sum, { tokens }) => sum + tokens, 0) / (performance.now() - startedAt)) * 1000;
}

/** How long the language graph takes for batches of several sizes, about new pictures and then about the same ones. */
async function batches(): Promise<LanguageRun[]> {
  const write = await openWriter();
  const runsBefore = observer.runs.length;
  for (const rows of BATCHES.rows) {
    for (let time = 0; time < BATCHES.times; time++) {
      const imageIds = Array.from({ length: rows }, (_, row) => `coffee ${rows} ${time} ${row}`);
      await write(imageIds);
      await write(imageIds);
    }
  }
  return medianRuns(observer.runs.slice(runsBefore));
}

function open(of: Bundle, keys: readonly string[]): Promise<SessionGroup> {
  if (mode === 'bare') return openDirectSessions(of, keys);
  const onFatal = (error: Error) => {
    throw error;
  };
  return openSessions(of, keys, { threads: 1, hardLimitMs: 60_000, onFatal });
}

async function close(): Promise<void> {
  await languageModel.close();
  for (const group of groups) await group.close();
}
