import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import openapiTS, { astToString } from 'openapi-typescript';
import ts from 'typescript';
import { expect, it } from 'vitest';
import { photo, TEXT, useGateway } from '../gateway.fixture.js';

const fixture = useGateway();

interface Operation {
  readonly requestBody?: { readonly content: Readonly<Record<string, { readonly schema: { readonly $ref: string } }>> };
  readonly operationId: string;
  readonly responses: Readonly<Record<string, unknown>>;
}

interface Document {
  readonly openapi: string;
  readonly info: { readonly version: string };
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components: { readonly schemas: Readonly<Record<string, object>> };
}

it('describes every route of the table, in OpenAPI 3.1', async () => {
  const document = (await (await fetch(`${fixture.gateway.adminUrl}/openapi.json`)).json()) as Document;
  expect(document.openapi).toBe('3.1.0');
  const routes = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
  );
  expect(routes.sort()).toEqual([
    'DELETE /v1/jobs/{id}',
    'GET /healthz/live',
    'GET /healthz/ready',
    'GET /v1/images/{id}',
    'GET /v1/jobs',
    'GET /v1/jobs/{id}',
    'GET /v1/jobs/{id}/events',
    'GET /v1/jobs/{id}/segments/{index}.png',
    'GET /v1/models',
    'GET /v1/models/{name}',
    'GET /v1/usage',
    'POST /v1/chat/completions',
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

it('holds what generators of clients take', async () => {
  const text = await (await fetch(`${fixture.gateway.adminUrl}/openapi.json`)).text();
  const document = JSON.parse(text) as Document;
  const referred = [...text.matchAll(/"\$ref":"([^"]+)"/g)].map((match) => match[1]!);
  expect(new Set(referred).size).toBeGreaterThan(8);
  for (const reference of referred) {
    const [root, ...path] = reference.split('/');
    expect(root).toBe('#');
    const target = path.reduce<unknown>((at, key) => (at as Record<string, unknown> | undefined)?.[key], document);
    expect(target, reference).toBeTypeOf('object');
  }
  expect(text).not.toMatch(/"items":false|"prefixItems"|__shared/);
  expect(document.components.schemas.SegmentRequest).toMatchObject({
    additionalProperties: false,
    required: ['instruction'],
  });
  const box = (document.components.schemas.Segment as { properties: { box: object } }).properties.box;
  expect(box).toMatchObject({ type: 'array', items: { type: 'integer' }, minItems: 4, maxItems: 4 });
  // What is one of several has names, which generated classes then have too.
  const { Event, Mask } = document.components.schemas as Record<string, Record<string, object[]>>;
  for (const one of [...(Event?.['oneOf'] ?? []), ...(Mask?.['anyOf'] ?? [])]) expect(one).toHaveProperty('$ref');
  expect(Mask?.['anyOf']).toContainEqual({ $ref: '#/components/schemas/RunLengthMask' });
});

it("has the product's version and names that stay for its operations", async () => {
  const document = (await (await fetch(`${fixture.gateway.adminUrl}/openapi.json`)).json()) as Document;
  const { version } = JSON.parse(
    readFileSync(new URL('../../package.json', import.meta.url), 'utf8'),
  ) as Document['info'];
  expect(document.info.version).toBe(version);
  const names = Object.values(document.paths).flatMap((path) => Object.values(path).map((each) => each.operationId));
  expect(names.sort()).toEqual(
    [
      'cancelJob',
      'createChatCompletion',
      'getImage',
      'getJob',
      'getModel',
      'getSegmentMask',
      'getUsage',
      'listJobs',
      'listModels',
      'live',
      'ready',
      'segment',
    ].concat(['storeImage', 'submitJob', 'watchJob']),
  );
});

it('gives TypeScript a client that makes a call', async () => {
  const { adminUrl, url } = fixture.gateway;
  const document = await (await fetch(`${adminUrl}/openapi.json`)).text();
  const folder = mkdtempSync(join(tmpdir(), 'segue-openapi-'));
  try {
    writeFileSync(join(folder, 'api.ts'), astToString(await openapiTS(document)));
    writeFileSync(join(folder, 'call.ts'), CALL);
    const files = [join(folder, 'call.ts')];
    const { options } = ts.convertCompilerOptionsFromJson(
      { strict: true, noEmit: true, target: 'es2022', module: 'esnext', moduleResolution: 'bundler', types: [] },
      folder,
    );
    const problems = ts.getPreEmitDiagnostics(ts.createProgram(files, options));
    expect(problems.map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, '\n'))).toEqual([]);
    const { outputText } = ts.transpileModule(CALL, { compilerOptions: { module: ts.ModuleKind.ESNext } });
    const { ask } = (await import(/* @vite-ignore */ `data:text/javascript,${encodeURIComponent(outputText)}`)) as {
      ask: (url: string, image: string) => Promise<string>;
    };
    const image = (await photo()).toString('base64');
    // Compiling has kept this process, and with it the gateway, from Redis for seconds.
    await expect.poll(() => ask(url, image).catch(String), { timeout: 30_000 }).toBe(TEXT);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

/** What somebody writes over the generated types. */
const CALL = `
import type { paths } from './api.js';
type Ask = paths['/v1/segment']['post'];
type Request = Ask['requestBody']['content']['application/json'];
type Answer = Ask['responses'][200]['content']['application/json'];
export async function ask(url: string, image: string): Promise<string> {
  const request: Request = { image, instruction: 'Where is the cup?', mask_format: 'polygon', polygon_tolerance: 1.5 };
  const headers = { 'content-type': 'application/json' };
  const response = await fetch(url + '/v1/segment', { method: 'POST', headers, body: JSON.stringify(request) });
  if (!response.ok) throw new Error(await response.text());
  const { text, segments }: Answer = await response.json();
  const [x, y]: number[] = segments[0]?.box ?? [];
  if (x === undefined || y === undefined) throw new Error('no box');
  return text;
}
`;

it('has a page for people that needs nothing from elsewhere', async () => {
  const page = await fetch(`${fixture.gateway.adminUrl}/docs`);
  expect(page.status).toBe(200);
  const html = await page.text();
  expect(html).toContain('Segue API');
  expect(html).not.toMatch(/(?:src|href)="https?:/);
  const script = /src="([^"]*swagger-ui-bundle\.js)"/.exec(html)?.[1];
  expect((await fetch(new URL(script!, page.url))).status).toBe(200);
});
