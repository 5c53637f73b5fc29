import { Controller, HttpCode, Post, Req, Res } from '@nestjs/common';
import { ApiBody, ApiTags } from '@nestjs/swagger';
import { ChatRequestSchema, CompletionStream, toAsked, toCompletion, toOpenAiError } from '@segue/dialects';
import { SegueError, type JobEvent } from '@segue/core';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { Answers, Does, FailsAsOpenAi, schemaOf } from '../http/api-docs.js';
import { callerOf } from '../http/caller.js';
import { sendFrames } from '../http/event-stream.js';
import { toSegmentBody } from '../http/json.js';
import type { Body } from '../http/schemas.js';
import { commandOfAsked } from '../segmentation/command.js';
import type { EncodeMask } from '../segmentation/encoded-mask.js';
import { parseOptions } from '../segmentation/parse-options.js';
import { SegmentationService } from '../segmentation/segmentation.service.js';

@ApiTags('OpenAI')
@Controller('v1/chat/completions')
export class ChatController {
  readonly #service: SegmentationService;

  constructor(service: SegmentationService) {
    this.#service = service;
  }

  @Post()
  @HttpCode(200)
  @Does(
    'createChatCompletion',
    "Ask as OpenAI's clients do",
    'The picture is a part `image_url` with a data: URL, or `segue:` and the id of a stored one. Masks are in `message.segments`, ' +
      'in a stream in `delta.segments`; each `<SEG>` of the content stands for one.',
  )
  @ApiBody({ required: true, schema: schemaOf('ChatRequest') })
  @Answers(200, 'The completion.', { 'application/json': 'ChatCompletion', 'text/event-stream': 'chunks' })
  @FailsAsOpenAi(400, 404, 413, 415, 429, 503, 504)
  async create(@Req() request: FastifyRequest, @Res() reply: FastifyReply): Promise<void> {
    const chat = parseOptions(ChatRequestSchema, request.body ?? {});
    const { mask_format: maskFormat, polygon_tolerance: tolerance } = chat;
    const options = { maskFormat, ...(typeof tolerance === 'number' && { polygonTolerance: tolerance }) };
    const command = commandOfAsked(toAsked(chat), options);
    const encodeMask = this.#service.maskEncoder(command);
    const caller = callerOf(reply);
    if (chat.stream) {
      const events = this.#service.stream(command, caller);
      const withUsage = chat.stream_options?.include_usage === true;
      const stream = new CompletionStream(chat.model, { withUsage });
      return sendFrames(reply, framesOf(events, stream, encodeMask), { client: caller.signal });
    }
    const answer = await this.#service.segment(command, caller);
    const segments = await Promise.all(answer.segments.map((segment) => toSegmentBody(segment, encodeMask)));
    await reply.send(toCompletion({ answer, segments, created: Math.floor(Date.now() / 1000) }));
  }
}

/** A job's events as server-sent events of this protocol, which have no names and end with a mark. */
async function* framesOf(
  events: AsyncIterable<JobEvent>,
  stream: CompletionStream<Body<'Segment'>>,
  encodeMask: EncodeMask,
): AsyncGenerator<string, void> {
  for await (const event of events) {
    const segment = event.type === 'segment' ? await toSegmentBody(event.segment, encodeMask) : undefined;
    for (const chunk of stream.chunks(event, segment)) yield frame(chunk);
    const error = failureOf(event);
    if (error) yield frame(toOpenAiError(error));
    // What was sent cannot be taken back in this protocol: the client has to ask again.
    if (error) return;
  }
  yield 'data: [DONE]\n\n';
}

function failureOf(event: JobEvent): Pick<SegueError, 'code' | 'message'> | undefined {
  if (event.type === 'failed') return event.error;
  if (event.type === 'cancelled') return new SegueError('CANCELLED', 'The job was cancelled.');
  if (event.type === 'restarted') {
    return new SegueError('UNAVAILABLE', 'A worker was lost while the answer was written. Ask again.');
  }
  return undefined;
}

function frame(body: object): string {
  return `data: ${JSON.stringify(body)}\n\n`;
}
