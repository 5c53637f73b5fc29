import type { Bundle } from '@segue/bundle';
import type { Answer, JobEventBody, Segment, SegmentationRequest } from '@segue/core';
import { DecodeStage, type DecodeStageParts } from '@segue/decoder';
import { EncodeStage, type EncodeStageParts } from '@segue/encoder';
import { GenerateStage, type GenerateStageParts } from '@segue/llm';
import { assembleAnswer, type RgbImage } from '@segue/stages';
import { Memory } from './memory.js';
import { StageClock } from './stage-clock.js';

/** The opened model of each stage, all of one bundle. */
export interface PipelineModels {
  readonly encoder: EncodeStageParts['encoder'];
  readonly languageModel: GenerateStageParts['model'];
  readonly decoder: DecodeStageParts['decoder'];
}

/** What of a request matters without a queue. */
export type PipelineRequest = Pick<SegmentationRequest, 'imageId' | 'instruction' | 'history' | 'mode' | 'maxTokens'>;

export interface PipelineHooks {
  /** Hears what a job's event log would hold; a failure is not an event here but what `segment` rejects with. */
  onEvent?(event: JobEventBody): void | Promise<void>;
  readonly signal?: AbortSignal;
  /** The answer's `jobId`. */
  readonly jobId?: string;
}

/** The same three stages as the workers run, in one process, with memory in the place of Redis and gRPC. */
export class Pipeline {
  readonly #bundle: Pick<Bundle, 'id' | 'digest' | 'manifest'>;
  readonly #models: PipelineModels;

  constructor(bundle: Pick<Bundle, 'id' | 'digest' | 'manifest'>, models: PipelineModels) {
    this.#bundle = bundle;
    this.#models = models;
  }

  /** Answers one request; masks are decoded while the text is still being written. */
  async segment(picture: RgbImage, asked: PipelineRequest, hooks: PipelineHooks = {}): Promise<Answer> {
    const { signal = new AbortController().signal, jobId = 'local' } = hooks;
    const bundle = this.#bundle;
    const memory = new Memory(picture);
    const shared = { bundle, pictures: memory, tensors: memory };
    const encode = new EncodeStage({ ...shared, encoder: this.#models.encoder });
    const generate = new GenerateStage({ ...shared, model: this.#models.languageModel });
    const decode = new DecodeStage({ ...shared, decoder: this.#models.decoder });

    const emit = async (event: JobEventBody): Promise<void> => hooks.onEvent?.(event);
    const clock = new StageClock();
    const request = { ...asked, model: bundle.manifest.name };
    const context = { request, signal, deadlineAtMs: Infinity };
    await emit({ type: 'accepted', imageId: request.imageId });

    await emit({ type: 'stage', stage: 'encode', done: false, cached: false });
    const encoded = await clock.time('encode', () => encode.process(context));
    await emit({ type: 'stage', stage: 'encode', done: true, cached: false });

    const masks: Promise<Segment>[] = [];
    await emit({ type: 'stage', stage: 'generate', done: false, cached: false });
    const generated = await clock.time('generate', () =>
      generate.process({
        ...context,
        encoded,
        writeText: (piece) => emit({ type: 'text', ...piece }),
        async addDecode(prompt) {
          const mask = clock
            .time('decode', () => decode.process({ ...context, encoded, prompt }))
            .then(async (segment) => {
              await emit({ type: 'segment', segment });
              return segment;
            });
          // A failure is heard below, where all masks are awaited; until then it must not count as unhandled.
          mask.catch(() => undefined);
          masks.push(mask);
        },
      }),
    );
    await emit({ type: 'stage', stage: 'generate', done: true, cached: generated.prefixCached });

    const segments = await Promise.all(masks);
    const { imageId } = request;
    const timingsMs = clock.timings();
    const answer = assembleAnswer({ jobId, imageId, generated, segments, imageCached: false, timingsMs });
    await emit({ type: 'completed', answer });
    return answer;
  }
}
