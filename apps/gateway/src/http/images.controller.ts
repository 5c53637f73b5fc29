import { Controller, Get, HttpCode, Param, Post, Req, Res } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import { SegueError } from '@segue/core';
import { pictureType } from '@segue/imaging';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { parseOptions } from '../segmentation/parse-options.js';
import { SegmentationService } from '../segmentation/segmentation.service.js';
import { Answers, Does, Fails, Takes } from './api-docs.js';
import { readBody } from './request-body.js';
import { z } from 'zod';
import type { Body } from './schemas.js';

const NO_OPTIONS = z.strictObject({});

@ApiTags('Segmentation')
@Controller('v1/images')
export class ImagesController {
  readonly #service: SegmentationService;

  constructor(service: SegmentationService) {
    this.#service = service;
  }

  @Post()
  @HttpCode(201)
  @Does(
    'storeImage',
    'Store a picture',
    'Further questions name it by its id instead of sending it again. It is kept for a while after each use.',
  )
  @Takes('ImageRequest')
  @Answers(201, 'The picture is stored.', { 'application/json': 'Image' })
  @Fails(400, 413, 415, 429, 503)
  async store(@Req() request: FastifyRequest): Promise<Body<'Image'>> {
    const { image, rest } = readBody(request);
    parseOptions(NO_OPTIONS, rest);
    if (!image) throw new SegueError('INVALID_ARGUMENT', '"image" is missing.');
    const { imageId, width, height } = await this.#service.storePicture(image, request.tenant);
    return { image_id: imageId, width, height };
  }

  @Get(':id')
  @Does('getImage', 'A stored picture', 'The bytes as they were sent.')
  @Answers(200, 'The picture.', {
    'image/jpeg': 'picture',
    'image/png': 'picture',
    'image/webp': 'picture',
    'image/gif': 'picture',
    'image/tiff': 'picture',
    'image/avif': 'picture',
  })
  @Fails(404, 503)
  async get(@Param('id') id: string, @Res() reply: FastifyReply): Promise<void> {
    const bytes = await this.#service.picture(id, reply.request.tenant);
    // The id is the hash of the bytes, so that they never change.
    await reply.type(pictureType(bytes)).header('cache-control', 'private, immutable, max-age=3600').send(bytes);
  }
}
