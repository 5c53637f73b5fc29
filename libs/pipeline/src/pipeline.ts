import { SegueError, type Answer, type JobEventBody, type Segment, type SegmentationRequest } from '@segue/core';
import type { DecodedMask, DecodeRequest } from '@segue/decoder';
import type { EncodedPicture, RgbImage } from '@segue/encoder';
import type { GenerateRequest, Generation, PromptedSegment } from '@segue/llm';
import type { Tensor } from '@segue/tensors';
import { StageClock } from './stage-clock.js';

/** The three stages of one bundle. */
export interface PipelineStages {
  readonly encoder: { encode(picture: RgbImage): Promise<EncodedPicture> };
  readonly languageModel: { generate(request: GenerateRequest): Promise<Generation> };
  readonly decoder: { decode(request: DecodeRequest): Promise<DecodedMask[]> };
}

/** Which bundle the stages are of. */
export interface PipelineModel {
  /** `name@version` */
  readonly id: string;
  /** Name of the encoder's output for the language model, from the manifest. */
  readonly visualTokens: string;
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

/** The three stages in one process, without queue and network. */
export class Pipeline {
  readonly #stages: PipelineStages;
  readonly #model: PipelineModel;

  constructor(stages: PipelineStages, model: PipelineModel) {
    this.#stages = stages;
    this.#model = model;
  }

  /** Answers one request; masks are decoded while the text is still being written. */
  async segment(picture: RgbImage, request: PipelineRequest, hooks: PipelineHooks = {}): Promise<Answer> {
    const { signal = new AbortController().signal, jobId = 'local' } = hooks;
    const emit = async (event: JobEventBody): Promise<void> => hooks.onEvent?.(event);
    const clock = new StageClock();
    await emit({ type: 'accepted', imageId: request.imageId });

    await emit({ type: 'stage', stage: 'encode', done: false, cached: false });
    const { tensors } = await clock.time('encode', () => this.#stages.encoder.encode(picture));
    await emit({ type: 'stage', stage: 'encode', done: true, cached: false });

    const masks: Promise<Segment>[] = [];
    const decode = async (segment: PromptedSegment): Promise<Segment> => {
      const original = [picture.height, picture.width] as const;
      const [mask] = await clock.time('decode', () =>
        this.#stages.decoder.decode({ tensors, original, embeddings: [segment.embedding] }),
      );
      if (!mask) throw new SegueError('INTERNAL', 'The mask decoder gave no mask. Report the picture.');
      const { index, phrase, span } = segment;
      const complete = { index, phrase, span, ...mask };
      await emit({ type: 'segment', segment: complete });
      return complete;
    };
    await emit({ type: 'stage', stage: 'generate', done: false, cached: false });
    const generation = await clock.time('generate', () =>
      this.#stages.languageModel.generate({
        ...request,
        signal,
        visualTokens: () => this.#visualTokens(tensors),
        onText: (piece) => emit({ type: 'text', ...piece }),
        onSegment: (segment) => {
          const mask = decode(segment);
          // A failure is heard below, where all masks are awaited; until then it must not count as unhandled.
          mask.catch(() => undefined);
          masks.push(mask);
        },
      }),
    );
    await emit({ type: 'stage', stage: 'generate', done: true, cached: generation.prefixCached });

    const segments = await Promise.all(masks);
    const answer: Answer = {
      jobId,
      text: generation.text,
      segments,
      model: this.#model.id,
      finishReason: generation.finishReason,
      timingsMs: clock.timings(),
      cache: { image: false, prefix: generation.prefixCached },
      imageId: request.imageId,
    };
    await emit({ type: 'completed', answer });
    return answer;
  }

  async #visualTokens(tensors: EncodedPicture['tensors']): Promise<Tensor> {
    const tokens = tensors[this.#model.visualTokens];
    if (tokens) return tokens;
    throw new SegueError('INTERNAL', 'The encoder and the language model are of different bundles.');
  }
}
