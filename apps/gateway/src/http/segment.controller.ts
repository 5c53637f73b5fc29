import { Controller, Headers, HttpCode, Post, Req, Res } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { SegmentationService } from '../segmentation/segmentation.service.js';
import { prefer } from './accept.js';
import { Answers, Does, Fails, Takes, TakesIdempotencyKey } from './api-docs.js';
import { callerOf } from './caller.js';
import { sendEvents } from './event-stream.js';
import { toAnswerBody } from './json.js';
import { commandOf } from './options.js';
import { readBody } from './request-body.js';

@ApiTags('Segmentation')
@Controller('v1')
export class SegmentController {
  readonly #service: SegmentationService;

  constructor(service: SegmentationService) {
    this.#service = service;
  }

  @Post('segment')
  @HttpCode(200)
  @Does(
    'segment',
    'Ask about a picture',
    'Waits for the answer; the job is cancelled when the connection closes, unless an idempotency key was named. Accept chooses what comes back: ' +
      'the answer (application/json), its events as they happen (text/event-stream), or the picture with the masks over it (image/png).',
  )
  @TakesIdempotencyKey()
  @Takes('SegmentRequest')
  @Answers(200, 'The answer.', { 'application/json': 'Answer', 'text/event-stream': 'events', 'image/png': 'picture' })
  @Fails(400, 403, 404, 409, 413, 415, 429, 499, 503, 504)
  async segment(
    @Req() request: FastifyRequest,
    @Res() reply: FastifyReply,
    @Headers('idempotency-key') key: string | undefined,
  ): Promise<void> {
    const command = commandOf(readBody(request), key);
    const type = prefer(request.headers.accept, ['application/json', 'text/event-stream', 'image/png']);
    const caller = callerOf(reply);
    if (type === 'text/event-stream') {
      return sendEvents(reply, this.#service.stream(command, caller), {
        encodeMask: this.#service.maskEncoder(command),
        client: caller.signal,
      });
    }
    const answer = await this.#service.segment(command, caller);
    if (type === 'image/png') {
      await reply.type('image/png').send(await this.#service.overlay(answer, caller.tenant));
    } else {
      await reply.send(await toAnswerBody(answer, this.#service.maskEncoder(command)));
    }
  }
}
