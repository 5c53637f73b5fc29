import { Controller, Delete, Get, Headers, Param, Post, Query, Req, Res } from '@nestjs/common';
import { ApiHeader, ApiTags } from '@nestjs/swagger';
import { SegueError } from '@segue/core';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { SegmentationService } from '../segmentation/segmentation.service.js';
import { Answers, Asks, Does, Fails, Takes, TakesIdempotencyKey } from './api-docs.js';
import { callerOf } from './caller.js';
import { sendEvents } from './event-stream.js';
import { toJobBody, toJobHead } from './json.js';
import { commandOf } from './options.js';
import { readBody } from './request-body.js';
import { parseOptions } from '../segmentation/parse-options.js';
import { ListOptionsSchema, type Body } from './schemas.js';

@ApiTags('Jobs')
@Controller('v1/jobs')
export class JobsController {
  readonly #service: SegmentationService;

  constructor(service: SegmentationService) {
    this.#service = service;
  }

  @Post()
  @Does('submitJob', 'Submit an asynchronous job', 'Returns at once; the job outlives the connection.')
  @TakesIdempotencyKey()
  @Takes('SegmentRequest')
  @Answers(202, 'Accepted; Location says where the job is.', { 'application/json': 'Job' })
  @Fails(400, 403, 404, 409, 413, 415, 429, 503)
  async submit(
    @Req() request: FastifyRequest,
    @Res() reply: FastifyReply,
    @Headers('idempotency-key') key: string | undefined,
  ): Promise<void> {
    const command = commandOf(readBody(request), key);
    const { value, encodeMask } = await this.#service.submit(command, callerOf(reply));
    await reply
      .status(202)
      .header('location', `/v1/jobs/${value.jobId}`)
      .send(await toJobBody(value, encodeMask));
  }

  @Get()
  @Does('listJobs', 'List jobs', 'The newest first, without their answers.')
  @Asks(ListOptionsSchema)
  @Answers(200, 'A page of jobs.', { 'application/json': 'Jobs' })
  @Fails(400, 403, 503)
  async list(
    @Query() query: Readonly<Record<string, unknown>>,
    @Req() { tenant }: FastifyRequest,
  ): Promise<Body<'Jobs'>> {
    const { state, limit, page_token: after } = parseOptions(ListOptionsSchema, query);
    const { jobs, next } = await this.#service.list(tenant, {
      limit,
      ...(state !== undefined && { state }),
      ...(after !== undefined && { after }),
    });
    return { jobs: jobs.map(toJobHead), ...(next !== undefined && { next_page_token: next }) };
  }

  @Get(':id')
  @Does('getJob', 'State of a job, and its answer or error when it has ended')
  @Answers(200, 'The job.', { 'application/json': 'Job' })
  @Fails(404, 503)
  async get(@Param('id') id: string, @Req() { tenant }: FastifyRequest): Promise<Body<'Job'>> {
    const { value, encodeMask } = await this.#service.job(id, tenant);
    return toJobBody(value, encodeMask);
  }

  @Delete(':id')
  @Does('cancelJob', 'Cancel a job', 'A job that has ended stays as it is.')
  @Answers(200, 'The job.', { 'application/json': 'Job' })
  @Fails(404, 503)
  async cancel(@Param('id') id: string, @Req() { tenant }: FastifyRequest): Promise<Body<'Job'>> {
    const { value, encodeMask } = await this.#service.cancel(id, tenant);
    return toJobBody(value, encodeMask);
  }

  @Get(':id/events')
  @Does(
    'watchJob',
    'Events of a job',
    'Those that have happened come first; the stream ends after the last one (then: 204).',
  )
  @ApiHeader({ name: 'Last-Event-ID', required: false, description: 'Go on after this event.' })
  @Answers(200, 'The events.', { 'text/event-stream': 'events' })
  @Fails(400, 404, 503)
  async events(
    @Param('id') id: string,
    @Headers('last-event-id') after: string | undefined,
    @Res() reply: FastifyReply,
  ): Promise<void> {
    const caller = callerOf(reply);
    const { value, encodeMask } = await this.#service.watch(id, after || undefined, caller);
    await sendEvents(reply, value, { encodeMask, client: caller.signal });
  }

  @Get(':id/segments/:index.png')
  @Does(
    'getSegmentMask',
    'One mask as a PNG with one bit a pixel',
    'It is there as soon as the segment is, before the job has ended.',
  )
  @Answers(200, 'The mask, of the size of the picture.', { 'image/png': 'picture' })
  @Fails(404, 503)
  async mask(@Param('id') id: string, @Param('index') index: string, @Res() reply: FastifyReply): Promise<void> {
    if (!/^\d{1,3}$/.test(index)) throw new SegueError('NOT_FOUND', 'Segments are numbered from 0.');
    const segment = await this.#service.segmentOf(id, Number(index), reply.request.tenant);
    await reply.type('image/png').send(await this.#service.maskPng(segment));
  }
}
