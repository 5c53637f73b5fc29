import type { Answer, Batch, LineResult } from '@segue/batches';
import { SegueError } from '@segue/core';
import { ChatRequestSchema, toAsked, toCompletion, toOpenAiError } from '@segue/dialects';
import type { Access } from '../access/access.js';
import { toAnswerBody, toSegmentBody } from '../http/json.js';
import { commandOf, spell } from '../http/options.js';
import { readBody } from '../http/request-body.js';
import { commandOfAsked, type SegmentationCommand } from '../segmentation/command.js';
import { parseOptions } from '../segmentation/parse-options.js';
import type { SegmentationService } from '../segmentation/segmentation.service.js';
import { readLine } from './batch-lines.js';

/** Answers lines of batches: as their endpoint would, after everything that somebody waits for. */
export function lineAnswerer(service: SegmentationService, access: Pick<Access, 'tenant'>): Answer {
  return async (batch, text, key, signal) => {
    const line = readLine(text);
    const write = (status: number, body: object): LineResult => ({
      succeeded: status === 200,
      line: JSON.stringify({
        id: `batch_req_${key}`,
        custom_id: line?.custom_id ?? null,
        response: { status_code: status, request_id: key, body },
        error: null,
      }),
    });
    try {
      const command = { ...commandOfLine(batch, line?.body ?? {}), priority: 'low' as const, idempotencyKey: key };
      const caller = { signal, deadlineAtMs: Infinity, requestId: key, tenant: access.tenant(batch.tenant), spell };
      const answer = await service.segment(command, caller);
      const encodeMask = service.maskEncoder(command);
      if (batch.endpoint === '/v1/segment') return write(200, await toAnswerBody(answer, encodeMask));
      const segments = await Promise.all(answer.segments.map((segment) => toSegmentBody(segment, encodeMask)));
      return write(200, toCompletion({ answer, segments, created: Math.floor(Date.now() / 1000) }));
    } catch (thrown) {
      const error = SegueError.from(thrown);
      if (signal.aborted || error.code === 'UNAVAILABLE' || error.code === 'RESOURCE_EXHAUSTED') throw error;
      return write(error.httpStatus, toOpenAiError(error));
    }
  };
}

function commandOfLine({ endpoint }: Batch, body: Readonly<Record<string, unknown>>): SegmentationCommand {
  if (endpoint === '/v1/segment') return commandOf(readBody({ body }), undefined);
  const { mask_format: maskFormat, polygon_tolerance: tolerance, ...chat } = parseOptions(ChatRequestSchema, body);
  const options = { maskFormat, ...(typeof tolerance === 'number' && { polygonTolerance: tolerance }) };
  return commandOfAsked(toAsked({ ...chat, mask_format: maskFormat }), options);
}
