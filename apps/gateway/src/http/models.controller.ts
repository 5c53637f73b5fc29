import { Controller, Get, Param } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import { ModelCatalogue } from '../models/model-catalogue.js';
import { SegmentationService } from '../segmentation/segmentation.service.js';
import { Answers, Does, Fails } from './api-docs.js';
import { toModelBody, toModelHead } from './json.js';
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
    const { models } = this.#catalogue;
    const devices = await this.#service.devices();
    const bodies = models.map((model) => toModelBody(model, devices));
    return { models: bodies, object: 'list', data: models.map(toModelHead) };
  }

  @Get(':name')
  @Does('getModel', 'One model')
  @Answers(200, 'The model.', { 'application/json': 'ModelHead' })
  @Fails(404)
  get(@Param('name') name: string): Body<'ModelHead'> {
    return toModelHead(this.#catalogue.get(name));
  }
}
