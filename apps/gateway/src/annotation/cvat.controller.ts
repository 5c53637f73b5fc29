import { Controller, HttpCode, Post, Query, Req, Res } from '@nestjs/common';
import { ApiExcludeController } from '@nestjs/swagger';
import { SegueError } from '@segue/core';
import { bytesOf, DetectRequestSchema, toShape } from '@segue/dialects';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { callerOf } from '../http/caller.js';
import { parseOptions } from '../segmentation/parse-options.js';
import { SegmentationService } from '../segmentation/segmentation.service.js';
import { askForEach, outlinesOf } from './ask-labels.js';

/** A detector as CVAT calls those that run as Nuclio functions. */
@ApiExcludeController()
@Controller('cvat')
export class CvatController {
  readonly #service: SegmentationService;

  constructor(service: SegmentationService) {
    this.#service = service;
  }

  @Post()
  @HttpCode(200)
  async detect(
    @Req() request: FastifyRequest,
    @Query('labels') named: string | undefined,
    @Res() reply: FastifyReply,
  ): Promise<void> {
    const { image, threshold, labels } = parseOptions(DetectRequestSchema, request.body ?? {});
    const wanted = labels ?? (named ?? '').split(',').flatMap((label) => label.trim() || []);
    if (wanted.length === 0) {
      throw new SegueError('INVALID_ARGUMENT', 'Name the labels to look for: {"labels": ["cat"]}, or ?labels=cat,dog.');
    }
    const questions = wanted.map((label) => ({ label, instruction: `Segment the ${label}.` }));
    const found = await askForEach(this.#service, { bytes: bytesOf(image, '"image"') }, questions, callerOf(reply));
    const kept = found.segments.filter(({ segment }) => segment.area > 0 && segment.score >= (threshold ?? 0));
    const shapes = await Promise.all(
      kept.map(async ({ label, segment }) => {
        // A shape has one outline; a thing in several parts is shown by the largest.
        const [outline = []] = await outlinesOf(this.#service, segment);
        return toShape(label, segment, outline);
      }),
    );
    await reply.send(shapes);
  }
}
