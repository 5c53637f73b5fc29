import { DocumentBuilder, SwaggerModule, type OpenAPIObject } from '@nestjs/swagger';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { createRequire } from 'node:module';
import { z } from 'zod';
import { schemaOf } from './api-docs.js';
import { SCHEMAS } from './schemas.js';

/** Schema of a body that is sent as a form, by that of the same body as JSON. */
const FORMS = { SegmentRequest: 'SegmentForm', ImageRequest: 'ImageForm' } as const;

const { version: VERSION } = createRequire(import.meta.url)('../../package.json') as { readonly version: string };

/** The OpenAPI 3.1 document: operations from the controllers, bodies from the schemas that the code itself uses. */
export function openApiDocument(app: NestFastifyApplication): OpenAPIObject {
  const base = new DocumentBuilder()
    .setOpenAPIVersion('3.1.0')
    .setTitle('Segue')
    .setDescription(
      'Reasoning segmentation: a picture and an instruction go in; an answer in words comes out, in which each `<SEG>` is a mask. ' +
        'The same service speaks gRPC as segue.v1.SegmentationService.',
    )
    .setVersion(VERSION)
    .setLicense('Apache-2.0', 'https://www.apache.org/licenses/LICENSE-2.0')
    .build();
  const document = SwaggerModule.createDocument(app, base, { operationIdFactory: (_controller, method) => method });
  document.components = { ...document.components, schemas: componentSchemas() };
  for (const path of Object.values(document.paths)) giveFormsTheirSchema(path.post?.requestBody);
  return document;
}

type Schemas = NonNullable<NonNullable<OpenAPIObject['components']>['schemas']>;

function componentSchemas(): Schemas {
  const registry = z.registry<{ id: string }>();
  for (const [id, schema] of Object.entries(SCHEMAS)) registry.add(schema, { id });
  const options = { uri: (id: string) => schemaOf(id as keyof typeof SCHEMAS).$ref, io: 'input', override } as const;
  const { schemas } = z.toJSONSchema(registry, options);
  return Object.fromEntries(
    Object.entries(schemas).map(([name, { $schema, $id, ...schema }]) => [name, schema]),
  ) as unknown as Schemas;
}

/**
 * What generators of clients stumble over, in other words: tuples as lists of a fixed length (`items: false` is legal after
 * `prefixItems`, and unknown to them), and defaults as prose (an option that has one would be taken for required).
 */
function override({ jsonSchema }: { readonly jsonSchema: z.core.JSONSchema.BaseSchema }): void {
  const { prefixItems, default: fallback, description } = jsonSchema;
  const [first] = prefixItems ?? [];
  if (prefixItems && first) {
    delete jsonSchema.prefixItems;
    Object.assign(jsonSchema, { items: first, minItems: prefixItems.length, maxItems: prefixItems.length });
  }
  if (fallback !== undefined) {
    delete jsonSchema.default;
    jsonSchema.description = [description, `Default: ${JSON.stringify(fallback)}.`].filter(Boolean).join(' ');
  }
}

function giveFormsTheirSchema(body: object | undefined): void {
  if (!body || !('content' in body)) return;
  const content = body.content as Record<string, { schema: { $ref: string } }>;
  const form = content['multipart/form-data'];
  if (!form) return;
  const json = Object.keys(FORMS).find((name) => form.schema.$ref.endsWith(`/${name}`)) as keyof typeof FORMS;
  form.schema = schemaOf(FORMS[json]);
}
