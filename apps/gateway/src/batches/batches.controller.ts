import { Controller, Get, HttpCode, Param, Post, Query, Req, Res } from '@nestjs/common';
import { ApiExcludeController } from '@nestjs/swagger';
import { BatchStore } from '@segue/batches';
import { SegueError } from '@segue/core';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { tenantOf } from '../http/caller.js';
import { readParts } from '../http/request-body.js';
import { parseOptions } from '../segmentation/parse-options.js';
import { toBatchBody, toFileBody } from './batch-json.js';
import { checkLines, ENDPOINTS } from './batch-lines.js';

const BatchRequestSchema = z.object({
  input_file_id: z.string(),
  endpoint: z.enum(ENDPOINTS),
  completion_window: z.string().optional(),
  metadata: z.record(z.string(), z.string()).nullish(),
});
const ListSchema = z.object({
  after: z.string().optional(),
  limit: z.coerce.number().int().min(1).max(100).default(20),
});

/** Files of questions and batches of them, as OpenAI's clients know them; its documents describe them. */
@ApiExcludeController()
@Controller('v1')
export class BatchesController {
  readonly #store: BatchStore;

  constructor(store: BatchStore) {
    this.#store = store;
  }

  @Post('files')
  @HttpCode(200)
  async upload(@Req() request: FastifyRequest): Promise<object> {
    const parts = readParts(request);
    const purpose = parts.find(({ name }) => name === 'purpose')?.value.toString();
    const file = parts.find(({ name }) => name === 'file');
    if (purpose !== 'batch' || !file) {
      throw new SegueError(
        'INVALID_ARGUMENT',
        'Send a form with "purpose", which must be batch, and a "file" of JSON lines.',
      );
    }
    return toFileBody(await this.#store.putFile(tenantOf(request), 'questions.jsonl', file.value));
  }

  @Get('files/:id')
  async file(@Param('id') id: string, @Req() request: FastifyRequest): Promise<object> {
    return toFileBody(await this.#store.file(tenantOf(request), id));
  }

  @Get('files/:id/content')
  async content(@Param('id') id: string, @Res() reply: FastifyReply): Promise<void> {
    await reply.type('application/jsonl').send(await this.#store.content(tenantOf(reply.request), id));
  }

  @Post('batches')
  @HttpCode(200)
  async create(@Req() request: FastifyRequest): Promise<object> {
    const asked = parseOptions(BatchRequestSchema, request.body ?? {});
    const { input_file_id: inputFileId, endpoint } = asked;
    const tenant = tenantOf(request);
    const total = await checkLines(await this.#store.content(tenant, inputFileId), endpoint);
    return toBatchBody(
      await this.#store.create(tenant, { inputFileId, endpoint, metadata: asked.metadata ?? {} }, total),
    );
  }

  @Get('batches')
  async list(@Query() query: Readonly<Record<string, unknown>>, @Req() request: FastifyRequest): Promise<object> {
    const { limit, after } = parseOptions(ListSchema, query);
    const batches = await this.#store.list(tenantOf(request), limit + 1, after);
    const data = batches.slice(0, limit).map(toBatchBody);
    const ends = { first_id: data[0]?.id ?? null, last_id: data.at(-1)?.id ?? null };
    return { object: 'list', data, ...ends, has_more: batches.length > limit };
  }

  @Get('batches/:id')
  async get(@Param('id') id: string, @Req() request: FastifyRequest): Promise<object> {
    return toBatchBody(await this.#store.get(tenantOf(request), id));
  }

  @Post('batches/:id/cancel')
  @HttpCode(200)
  async cancel(@Param('id') id: string, @Req() request: FastifyRequest): Promise<object> {
    return toBatchBody(await this.#store.cancel(tenantOf(request), id));
  }
}
