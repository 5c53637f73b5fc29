import { applyDecorators } from '@nestjs/common';
import { ApiBody, ApiConsumes, ApiHeader, ApiOperation, ApiQuery, ApiResponse } from '@nestjs/swagger';
import { z } from 'zod';
import type { SCHEMAS } from './schemas.js';

type SchemaName = keyof typeof SCHEMAS;

const PROBLEMS: Readonly<Record<number, string>> = {
  400: 'The request is not valid.',
  403: 'The caller may not do this.',
  404: 'There is no such job, picture, segment or model.',
  409: 'The idempotency key was used with another request.',
  413: 'The picture is too large.',
  415: 'The body is not of a known type, or not a picture.',
  429: 'Too much is waiting; Retry-After says when to try again.',
  499: 'The job was cancelled.',
  503: 'Redis or a worker is away; Retry-After says when to try again.',
  504: 'The answer was not ready in time.',
};

export function schemaOf(name: SchemaName): { readonly $ref: string } {
  return { $ref: `#/components/schemas/${name}` };
}

/** What an operation does. @param operationId names it in generated clients, and stays. */
export function Does(operationId: string, summary: string, description?: string): MethodDecorator {
  return ApiOperation({ operationId, summary, ...(description !== undefined && { description }) });
}

/** A good answer, in one or more types of content. */
export function Answers(
  status: number,
  description: string,
  content: Readonly<Record<string, SchemaName | 'picture' | 'events' | 'chunks'>>,
): MethodDecorator {
  const schemas = Object.entries(content).map(([type, name]) => {
    if (name === 'picture')
      return [type, { schema: { type: 'string', contentMediaType: type, format: 'binary' } }] as const;
    if (name === 'chunks')
      return [type, { schema: { type: 'string', description: 'Chunks of a completion.' } }] as const;
    if (name === 'events') return [type, { schema: schemaOf('Event') }] as const;
    return [type, { schema: schemaOf(name) }] as const;
  });
  return ApiResponse({ status, description, content: Object.fromEntries(schemas) });
}

/** The failures that an operation can answer with. */
export function Fails(...statuses: readonly (keyof typeof PROBLEMS)[]): MethodDecorator {
  return failures(statuses, 'application/problem+json', 'Problem');
}

/** As `Fails`, in the words of OpenAI. */
export function FailsAsOpenAi(...statuses: readonly (keyof typeof PROBLEMS)[]): MethodDecorator {
  return failures(statuses, 'application/json', 'OpenAiError');
}

function failures(statuses: readonly number[], type: string, schema: SchemaName): MethodDecorator {
  const content = { [type]: { schema: schemaOf(schema) } };
  return applyDecorators(
    ...statuses.map((status) => ApiResponse({ status, description: PROBLEMS[status] ?? '', content })),
  );
}

/** A body as JSON or as a form; `openApiDocument` gives each its schema. */
export function Takes(name: 'SegmentRequest' | 'ImageRequest'): MethodDecorator {
  return applyDecorators(
    ApiConsumes('application/json', 'multipart/form-data'),
    ApiBody({ required: true, schema: schemaOf(name) }),
  );
}

/** The key as a header, where clients' libraries put it. */
export function TakesIdempotencyKey(): MethodDecorator {
  return ApiHeader({
    name: 'Idempotency-Key',
    required: false,
    description: 'The same as the option idempotency_key.',
  });
}

/** What is asked for in the query. */
export function Asks(options: z.ZodObject): MethodDecorator {
  const { properties = {}, required = [] } = z.toJSONSchema(options, { io: 'input' });
  return applyDecorators(
    ...Object.entries(properties).map(([option, schema]) => {
      const { description, ...rest } = schema as { description?: string };
      return ApiQuery({
        name: option,
        required: required.includes(option),
        description: description ?? '',
        schema: rest,
      });
    }),
  );
}
