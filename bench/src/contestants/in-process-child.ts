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
import type { Reply } from './contestant.js';
import { openDirectSessions, spentMs } from './direct-sessions.js';
import { EventWatch, toReply } from './interfaces.js';

export type Mode = 'bare' | 'pipeline';

export type Task =
  | { readonly type: 'ready' }
  | { readonly type: 'ask'; readonly question: Question }
  | { readonly type: 'write'; readonly jobs: number };

export type Ended = { readonly id: number } & ({ readonly result: unknown } | { readonly error: string });

const PREFIX_CACHE_BYTES = 2 ** 28;
/** An answer with three masks: some twenty tokens. */
const LONG_QUESTION = 'Segment the cup, the spoon and the plate.';

const mode = process.argv[2] as Mode;
const bundle = await loadBundle(BUNDLE);
const { manifest } = bundle;
// A thread for each stage, as the workers have.
const groups = await Promise.all(
  [encoderGraphs(manifest), languageGraphs(manifest), decoderGraphs(manifest)].map((keys) => open(bundle, keys)),
);
const sessions = Object.assign({}, ...groups.map((group) => group.sessions));
const models = await openModels(bundle, sessions, { preprocess, prefixCacheBytes: PREFIX_CACHE_BYTES });
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
  if (task.type === 'ask') return answer(task.question);
  return task.type === 'write' ? tokensPerSecond(task.jobs) : undefined;
}

async function answer({ picture, instruction }: Question): Promise<Reply> {
  const [startedAt, spentBefore, watch] = [performance.now(), spentMs(), new EventWatch()];
  const imageId = createHash('sha256').update(picture).digest('hex');
  const image = await decodePicture(picture, DEFAULT_PICTURE_LIMITS);
  const request = { imageId, instruction, history: [], mode: 'answer', maxTokens } as const;
  const found = await pipeline.segment(image, request, { onEvent: ({ type }) => watch.see(type) });
  const tookMs = mode === 'bare' ? spentMs() - spentBefore : performance.now() - startedAt;
  return { ...toReply(found), tookMs, ...watch.times };
}

async function tokensPerSecond(jobs: number): Promise<number> {
  const photo = readFileSync(join(ROOT, 'examples/coffee.jpg'));
  const tensors = await encoder.encode(await decodePicture(photo, DEFAULT_PICTURE_LIMITS));
  const write = () =>
    languageModel.generate({
      imageId: 'coffee',
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
  await write(); // from here on the picture's prefix is there
  const startedAt = performance.now();
  const written = await Promise.all(Array.from({ length: jobs }, write));
  return (written.reduce((sum, { tokens }) => sum + tokens, 0) / (performance.now() - startedAt)) * 1000;
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
