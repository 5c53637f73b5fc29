import { Controller, Get, Header, Query } from '@nestjs/common';
import { UsageOptionsSchema } from '../http/schemas.js';
import { parseOptions } from '../segmentation/parse-options.js';
import { UsageReader } from './usage-reader.js';

/** What all tenants have used, for operators. */
@Controller('usage')
export class TenantsUsageController {
  readonly #usage: UsageReader;

  constructor(usage: UsageReader) {
    this.#usage = usage;
  }

  @Get()
  @Header('cache-control', 'no-store')
  read(@Query() query: Readonly<Record<string, unknown>>): ReturnType<UsageReader['all']> {
    return this.#usage.all(parseOptions(UsageOptionsSchema, query));
  }
}
