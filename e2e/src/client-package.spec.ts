/// <reference lib="dom" />
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type * as Client from '@segue/client';
import { chromium } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { chromiumPath } from './chromium.js';
import { MANY_SEGMENTS, WIDE } from './pictures.js';
import { System } from './system.js';

const run = promisify(execFile);
const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const BIN = join(ROOT, 'node_modules/.bin');
if (!chromiumPath) console.log('The client is not tested in a browser: there is no Chromium.');

let system: System;
let folder: string;
let tarball: string;

beforeAll(async () => {
  system = await System.start();
  return () => system.stop();
});
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'segue-client-'));
  tarball = (await run(process.execPath, [join(ROOT, 'libs/client/pack.mjs')])).stdout.trim().split('\n').at(-1) ?? '';
  await writeFile(join(folder, 'package.json'), JSON.stringify({ type: 'module' }));
  // Offline: what the package needs besides itself would be missed here.
  await run('npm', ['install', '--offline', '--no-audit', '--no-fund', tarball], { cwd: folder });
}, 300_000);
afterAll(() => rm(folder, { recursive: true, force: true }));

describe('the package of the client', () => {
  it('has no dependencies, and passes publint and attw', async () => {
    const installed = join(folder, 'node_modules/@segue/client');
    const manifest = JSON.parse(await readFile(join(installed, 'package.json'), 'utf8')) as object;
    expect(Object.keys(manifest)).not.toContain('dependencies');
    expect(await readFile(join(installed, 'index.js'), 'utf8')).not.toMatch(/^import /m);
    await run(join(BIN, 'publint'), ['--strict', installed]);
    await run(join(BIN, 'attw'), ['--no-definitely-typed', tarball]);
  }, 120_000);

  it.each(['README.md', 'libs/client/README.md'])(
    'runs in Node as %s shows',
    async (page) => {
      const example = blockOf(page, 'ts', 'SegueClient').replace('http://localhost:8080', system.httpUrl);
      await cp(join(ROOT, 'examples'), join(folder, 'examples'), { recursive: true });
      await writeFile(join(folder, 'example.ts'), example);
      const types = ['--types', 'node', '--typeRoots', join(ROOT, 'node_modules/@types')];
      const options = ['--strict', '--module', 'nodenext', '--target', 'es2022', '--skipLibCheck', 'false', ...types];
      await run(join(BIN, 'tsc'), [...options, 'example.ts'], { cwd: folder });
      const { stdout } = await run(process.execPath, ['example.js'], { cwd: folder });
      const expected = await system.client.segment({
        image: readFileSync(join(ROOT, 'examples/coffee.jpg')),
        instruction: 'Where could I pour a drink?',
      });
      expect(stdout).toContain(expected.text);
      for (const { phrase, area } of expected.segments) expect(stdout).toMatch(new RegExp(`${phrase}.*${area}`, 's'));
    },
    120_000,
  );

  it('can be required', async () => {
    const script =
      "const { SegueClient, SegueError } = require('@segue/client'); console.log(SegueClient.name, SegueError.name)";
    await mkdir(join(folder, 'commonjs'), { recursive: true });
    await writeFile(join(folder, 'commonjs/example.cjs'), script);
    const { stdout } = await run(process.execPath, ['commonjs/example.cjs'], { cwd: folder });
    expect(stdout).toBe('SegueClient SegueError\n');
  });

  it.skipIf(!chromiumPath)(
    'runs in Chromium as docs/guides/clients.md shows',
    async () => {
      const site = await serve(blockOf('docs/guides/clients.md', 'html', 'SegueClient'));
      const browser = await chromium.launch({
        executablePath: chromiumPath ?? '',
        args: ['--no-sandbox', '--disable-background-networking'],
      });
      try {
        const page = await browser.newPage();
        await page.goto(`http://127.0.0.1:${(site.address() as AddressInfo).port}/`);
        await page.setInputFiles('input', { name: 'wide.png', mimeType: 'image/png', buffer: WIDE });
        await page.waitForFunction(() => document.querySelector('p')?.textContent !== '');
        const expected = await system.client.segment({ image: WIDE, instruction: MANY_SEGMENTS });
        expect(await page.textContent('p')).toBe(expected.text);
        const size = await page.evaluate(() => {
          const canvas = document.querySelector('canvas');
          return [canvas?.height, canvas?.width];
        });
        expect(size).toEqual(expected.segments[0]?.mask.size);
        // As a script of the page: what is evaluated below has been through a compiler that has its own way to import.
        await page.addScriptTag({ type: 'module', content: "window.segue = await import('./index.js');" });
        await page.waitForFunction(() => 'segue' in window);
        const streamed = await page.evaluate(async (instruction) => {
          const { SegueClient } = (window as unknown as { readonly segue: typeof Client }).segue;
          const client = new SegueClient({ baseUrl: location.origin });
          const file = document.querySelector('input')?.files?.[0] as Blob;
          const { imageId } = await client.images.upload(file);
          const types = new Set<string>();
          for await (const { type } of client.stream({ imageId, instruction })) types.add(type);
          const failure = await client.jobs.get('nope').catch((error: { code: string }) => error.code);
          return { types: [...types].sort(), failure };
        }, MANY_SEGMENTS);
        expect(streamed).toEqual({
          types: ['accepted', 'completed', 'segment', 'stage', 'text'],
          failure: 'NOT_FOUND',
        });
      } finally {
        await browser.close();
        site.closeAllConnections();
        site.close();
      }
    },
    120_000,
  );

  it.skipIf(!chromiumPath)('is refused in Chromium by a service that lets no other origin in', async () => {
    const env = { ...process.env, SEGUE_URL: system.httpUrl, CHROMIUM: chromiumPath };
    const { stdout } = await run(process.execPath, ['examples/other-origin.mjs', '0'], { cwd: ROOT, env });
    const [refusal, shown, painted] = stdout.trim().split('\n');
    expect(refusal).toMatch(/from origin 'http:\/\/localhost:\d+' has been blocked by CORS policy/);
    expect(shown).toMatch(/^No answer from .* does it allow this page's origin \(CORS\)\?$/);
    expect(painted).toBe('0 pixels painted');
  });
});

/** The page's code in this language that names this. */
function blockOf(page: string, language: string, name: string): string {
  const blocks = readFileSync(join(ROOT, page), 'utf8').matchAll(new RegExp(`\`\`\`${language}\\n(.*?)\`\`\``, 'gs'));
  const block = [...blocks].map((match) => match[1] ?? '').find((code) => code.includes(name));
  if (block === undefined) throw new Error(`${page} shows no ${language} with ${name}`);
  return block;
}

/** A site of one page and the client beside it; the service is behind the same origin, as behind a proxy. */
async function serve(html: string): Promise<Server> {
  const script = await readFile(join(folder, 'node_modules/@segue/client/index.js'));
  const server = createServer((request, response) => {
    void (async () => {
      if (request.url === '/') return response.setHeader('content-type', 'text/html').end(html);
      if (request.url === '/index.js') return response.setHeader('content-type', 'text/javascript').end(script);
      const chunks: Buffer[] = [];
      for await (const chunk of request) chunks.push(chunk as Buffer);
      const { method = 'GET', headers } = request;
      const passed = ['accept', 'content-type', 'last-event-id'].flatMap((name) =>
        typeof headers[name] === 'string' ? [[name, headers[name]] as [string, string]] : [],
      );
      const answer = await fetch(system.httpUrl + (request.url ?? ''), {
        method,
        headers: passed,
        ...(method === 'POST' && { body: new Uint8Array(Buffer.concat(chunks)) }),
      });
      response.writeHead(answer.status, { 'content-type': answer.headers.get('content-type') ?? '' });
      return response.end(Buffer.from(await answer.arrayBuffer()));
    })().catch(() => response.destroy());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return server;
}
