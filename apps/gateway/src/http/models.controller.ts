import { Controller, Get } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import { ModelCatalogue } from '../models/model-catalogue.js';
import { Answers, Does } from './api-docs.js';
import { toModelBody } from './json.js';
import type { Body } from './schemas.js';

@ApiTags('Models')
@Controller('v1/models')
export class ModelsController {
  readonly #catalogue: ModelCatalogue;

  constructor(catalogue: ModelCatalogue) {
    this.#catalogue = catalogue;
  }

  @Get()
  @Does('listModels', 'Models that can be asked')
  @Answers(200, 'The models.', { 'application/json': 'Models' })
  list(): Body<'Models'> {
    return { models: this.#catalogue.models.map(toModelBody) };
  }
}
