import { expect, it } from 'vitest';
import { useGateway } from '../gateway.fixture.js';

const fixture = useGateway();

interface Operation {
  readonly requestBody?: { readonly content: Readonly<Record<string, { readonly schema: { readonly $ref: string } }>> };
  readonly responses: Readonly<Record<string, unknown>>;
}

interface Document {
  readonly openapi: string;
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components: { readonly schemas: Readonly<Record<string, object>> };
}

it('describes every route of the table, in OpenAPI 3.1', async () => {
  const document = (await (await fetch(`${fixture.gateway.url}/openapi.json`)).json()) as Document;
  expect(document.openapi).toBe('3.1.0');
  const routes = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
  );
  expect(routes.sort()).toEqual([
    'DELETE /v1/jobs/{id}',
    'GET /healthz/live',
    'GET /healthz/ready',
    'GET /metrics',
    'GET /v1/images/{id}',
    'GET /v1/jobs/{id}',
    'GET /v1/jobs/{id}/events',
    'GET /v1/jobs/{id}/segments/{index}.png',
    'GET /v1/models',
    'POST /v1/images',
    'POST /v1/jobs',
    'POST /v1/segment',
  ]);
  const segment = document.paths['/v1/segment']?.post;
  expect(segment?.requestBody?.content).toEqual({
    'application/json': { schema: { $ref: '#/components/schemas/SegmentRequest' } },
    'multipart/form-data': { schema: { $ref: '#/components/schemas/SegmentForm' } },
  });
  expect(Object.keys(segment?.responses ?? {})).toEqual(
    expect.arrayContaining(['200', '400', '413', '415', '429', '503', '504']),
  );
});

it('refers only to schemas that it has', async () => {
  const text = await (await fetch(`${fixture.gateway.url}/openapi.json`)).text();
  const { components } = JSON.parse(text) as Document;
  const referred = new Set([...text.matchAll(/"#\/components\/schemas\/(\w+)"/g)].map((match) => match[1]));
  expect(referred.size).toBeGreaterThan(8);
  for (const name of referred) expect(components.schemas).toHaveProperty(name!);
  expect(components.schemas.SegmentRequest).toMatchObject({ additionalProperties: false, required: ['instruction'] });
});

it('has a page for people that needs nothing from elsewhere', async () => {
  const page = await fetch(`${fixture.gateway.url}/docs`);
  expect(page.status).toBe(200);
  const html = await page.text();
  expect(html).toContain('Segue API');
  expect(html).not.toMatch(/(?:src|href)="https?:/);
  const script = /src="([^"]*swagger-ui-bundle\.js)"/.exec(html)?.[1];
  expect((await fetch(new URL(script!, page.url))).status).toBe(200);
});
