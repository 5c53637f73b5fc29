import { Controller, Get, Query, Req } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import type { FastifyRequest } from 'fastify';
import { Answers, Asks, Does, Fails } from '../http/api-docs.js';
import { UsageOptionsSchema, type Body } from '../http/schemas.js';
import { parseOptions } from '../segmentation/parse-options.js';
import { UsageReader } from './usage-reader.js';

@ApiTags('Usage')
@Controller('v1/usage')
export class UsageController {
  readonly #usage: UsageReader;

  constructor(usage: UsageReader) {
    this.#usage = usage;
  }

  @Get()
  @Does('getUsage', 'What the caller has used', 'All who show no key together are one. Days are kept for 400 days.')
  @Asks(UsageOptionsSchema)
  @Answers(200, 'The figures of these days.', { 'application/json': 'Usage' })
  @Fails(400, 503)
  read(@Query() query: Readonly<Record<string, unknown>>, @Req() { tenant }: FastifyRequest): Promise<Body<'Usage'>> {
    return this.#usage.of(tenant, parseOptions(UsageOptionsSchema, query));
  }
}
