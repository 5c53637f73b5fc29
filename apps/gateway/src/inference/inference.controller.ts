import { Controller, Get, Headers, HttpCode, Param, Post, Req, Res } from '@nestjs/common';
import { ApiExcludeController } from '@nestjs/swagger';
import { SegueError } from '@segue/core';
import { INPUTS, InferRequestSchema, OUTPUTS, readInputs, writeOutputs } from '@segue/dialects';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { callerOf } from '../http/caller.js';
import { checkJson } from '../http/json-limits.js';
import { JSON_LENGTH } from '../http/request-body.js';
import { ModelCatalogue } from '../models/model-catalogue.js';
import { parseOptions } from '../segmentation/parse-options.js';
import { Infer } from './infer.js';
import { SERVER, PLATFORM } from './server.js';

/**
 * The Open Inference Protocol, version 2, over HTTP; its own documents describe it.
 * https://github.com/kserve/open-inference-protocol/blob/main/specification/protocol/inference_rest.md
 */
@ApiExcludeController()
@Controller('v2')
export class InferenceController {
  readonly #infer: Infer;
  readonly #catalogue: ModelCatalogue;

  constructor(infer: Infer, catalogue: ModelCatalogue) {
    this.#infer = infer;
    this.#catalogue = catalogue;
  }

  @Get()
  server(): object {
    return SERVER;
  }

  @Get('health/live')
  live(): object {
    return { live: true };
  }

  // Requests reach a gateway that is ready, and no other: see the hooks of the HTTP server.
  @Get('health/ready')
  ready(): object {
    return { ready: true };
  }

  @Get(['models/:model', 'models/:model/versions/:version'])
  metadata(@Param('model') name: string, @Param('version') version?: string): object {
    const model = this.#model(name, version);
    return { name: model.name, versions: [model.version], platform: PLATFORM, inputs: INPUTS, outputs: OUTPUTS };
  }

  @Get(['models/:model/ready', 'models/:model/versions/:version/ready'])
  modelReady(@Param('model') name: string, @Param('version') version?: string): object {
    return { name: this.#model(name, version).name, ready: true };
  }

  @Post(['models/:model/infer', 'models/:model/versions/:version/infer'])
  @HttpCode(200)
  async infer(
    @Param('model') name: string,
    @Param('version') version: string | undefined,
    @Headers(JSON_LENGTH) jsonLength: string | undefined,
    @Req() request: FastifyRequest,
    @Res() reply: FastifyReply,
  ): Promise<void> {
    const { json, binary } = split(request.body, jsonLength);
    const asked = parseOptions(InferRequestSchema, json);
    const wanted = (asked.outputs ?? []).map((output) => output.name);
    const inputs = readInputs(asked, binary);
    const inference = await this.#infer.run(name, version ?? '', inputs, wanted, callerOf(reply));
    const { body, jsonBytes } = writeOutputs(asked, inference);
    if (jsonBytes !== undefined) void reply.header(JSON_LENGTH, jsonBytes).type('application/octet-stream');
    else void reply.type('application/json');
    await reply.send(body);
  }

  #model(name: string, version = '') {
    return this.#catalogue.get(version === '' ? name : `${name}@${version}`);
  }
}

/** A body's JSON, and what follows it. */
function split(body: unknown, jsonLength: string | undefined): { readonly json: unknown; readonly binary: Buffer } {
  if (!Buffer.isBuffer(body)) return { json: body ?? {}, binary: Buffer.alloc(0) };
  const length = Number(jsonLength);
  if (!Number.isSafeInteger(length) || length <= 0 || length > body.byteLength) {
    throw new SegueError('INVALID_ARGUMENT', `The header ${JSON_LENGTH} must say how many bytes of the body are JSON.`);
  }
  const json = body.subarray(0, length);
  checkJson(json);
  try {
    return { json: JSON.parse(json.toString()), binary: body.subarray(length) };
  } catch (cause) {
    throw new SegueError('INVALID_ARGUMENT', `The first ${length} bytes of the body are no JSON.`, { cause });
  }
}
