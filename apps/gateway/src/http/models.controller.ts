import { Controller, Get } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import { ModelCatalogue } from '../models/model-catalogue.js';
import { SegmentationService } from '../segmentation/segmentation.service.js';
import { Answers, Does } from './api-docs.js';
import { toModelBody } from './json.js';
import type { Body } from './schemas.js';

@ApiTags('Models')
@Controller('v1/models')
export class ModelsController {
  readonly #catalogue: ModelCatalogue;
  readonly #service: SegmentationService;

  constructor(catalogue: ModelCatalogue, service: SegmentationService) {
    this.#catalogue = catalogue;
    this.#service = service;
  }

  @Get()
  @Does('listModels', 'Models that can be asked')
  @Answers(200, 'The models.', { 'application/json': 'Models' })
  async list(): Promise<Body<'Models'>> {
    const devices = await this.#service.devices();
    return { models: this.#catalogue.models.map((model) => toModelBody(model, devices)) };
  }
}
