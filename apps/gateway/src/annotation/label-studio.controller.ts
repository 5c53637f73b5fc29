import { Controller, Get, HttpCode, Post, Req, Res } from '@nestjs/common';
import { ApiExcludeController } from '@nestjs/swagger';
import { PredictRequestSchema, questionsOf, readLabelConfig, toPrediction } from '@segue/dialects';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { callerOf } from '../http/caller.js';
import { ModelCatalogue } from '../models/model-catalogue.js';
import { parseOptions } from '../segmentation/parse-options.js';
import { SegmentationService } from '../segmentation/segmentation.service.js';
import { askForEach, outlinesOf } from './ask-labels.js';
import { LabelStudioFiles } from './label-studio-files.js';

/** A machine-learning backend as Label Studio calls it. https://labelstud.io/guide/ml_create */
@ApiExcludeController()
@Controller('label-studio')
export class LabelStudioController {
  readonly #service: SegmentationService;
  readonly #catalogue: ModelCatalogue;
  readonly #files: LabelStudioFiles;

  constructor(service: SegmentationService, catalogue: ModelCatalogue, files: LabelStudioFiles) {
    this.#service = service;
    this.#catalogue = catalogue;
    this.#files = files;
  }

  @Get(['', 'health'])
  health(): object {
    return { status: 'UP', model_class: 'Segue' };
  }

  @Post('setup')
  @HttpCode(200)
  setup(): object {
    return { model_version: this.#version };
  }

  @Get('versions')
  versions(): object {
    return { versions: [this.#version] };
  }

  /** Nothing is learnt from annotations: training is a program of its own. */
  @Post(['webhook', 'train'])
  @HttpCode(200)
  webhook(): object {
    return {};
  }

  @Post('predict')
  @HttpCode(200)
  async predict(@Req() request: FastifyRequest, @Res() reply: FastifyReply): Promise<void> {
    const asked = parseOptions(PredictRequestSchema, request.body ?? {});
    const config = readLabelConfig(asked.label_config);
    const questions = questionsOf(config, asked);
    const caller = callerOf(reply);
    const results: object[] = [];
    for (const { data } of asked.tasks) {
      const picture = { bytes: await this.#files.get(data[config.imageField]) };
      const { model, segments } = await askForEach(this.#service, picture, questions, caller);
      const labelled = await Promise.all(
        segments.map(async ({ label, segment }) => ({
          label,
          segment,
          ...(config.kind === 'polygon' && { rings: await outlinesOf(this.#service, segment) }),
        })),
      );
      results.push(toPrediction(config, labelled, model));
    }
    await reply.send({ results, model_version: this.#version });
  }

  get #version(): string {
    const { name, version } = this.#catalogue.get(undefined);
    return `${name}@${version}`;
  }
}
