import { randomBytes } from 'node:crypto';
import { createServer, type AddressInfo } from 'node:net';
import { once } from 'node:events';
import { readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { SegueClient } from '@segue/client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ROOT, run, tell } from './commands.js';

const APPS = ['gateway', 'encoder-worker', 'llm-worker', 'decoder-worker'] as const;
/** Bytes that an image may have; the sizes measured are in docs/guides/kubernetes.md. */
const LIMITS: Readonly<Record<string, number>> = {
  gateway: 190e6,
  'encoder-worker': 235e6,
  'llm-worker': 235e6,
  'decoder-worker': 235e6,
  model: 240e6,
};

const podman = (...args: string[]) => run('images.sh', 'with', 'podman', ...args);

beforeAll(async () => {
  tell('building');
  await run('images.sh', 'build');
  tell('built');
});

describe.each(APPS)('the image of the %s', (app) => {
  let root: string;
  beforeAll(async () => (root = await podman('image', 'mount', `localhost/segue/${app}:test`)));
  afterAll(() => podman('image', 'umount', `localhost/segue/${app}:test`));

  it('holds what runs and nothing else', async () => {
    const files = await readdir(join(root, 'segue'), { recursive: true });
    expect(files.filter((file) => /\.map$|\.d\.[cm]?ts$|node_modules\/typescript\//.test(file))).toEqual([]);
    expect(files.filter((file) => /\/(darwin|win32|linuxmusl)\b|musl|wasm32/.test(file))).toEqual([]);
    const runtimes = files.filter((file) => file.includes('libonnxruntime'));
    expect(runtimes).toHaveLength(app === 'gateway' ? 0 : 1);
    expect(await readdir(root)).not.toContain('bin/sh');
  });

  it('carries its licences and a bill of materials', async () => {
    const bill = JSON.parse(await readFile(join(root, 'segue/sbom.cdx.json'), 'utf8')) as {
      bomFormat: string;
      components: { name: string; licenses?: unknown[] }[];
    };
    expect(bill.bomFormat).toBe('CycloneDX');
    expect(bill.components.filter(({ licenses = [] }) => licenses.length === 0)).toEqual([]);
    expect(await readFile(join(root, 'segue/NOTICE'), 'utf8')).toContain('LGPL-3.0');
  });

  it('runs as nobody', async () => {
    expect(await podman('image', 'inspect', '--format', '{{.User}}', `localhost/segue/${app}:test`)).toBe(
      '65532:65532',
    );
  });
});

it.each(Object.keys(LIMITS))('keeps %s small', async (name) => {
  const bytes = Number(await podman('image', 'inspect', '--format', '{{.Size}}', `localhost/segue/${name}:test`));
  tell(`${name}: ${(bytes / 1e6).toFixed(0)} MB`);
  expect(bytes).toBeLessThan(LIMITS[name] ?? 0);
});

describe('compose.yaml', () => {
  const password = randomBytes(24).toString('hex');
  const ports: Record<string, string> = {};
  const compose = (...args: string[]) => {
    const settings = Object.entries({
      ...ports,
      SEGUE_VERSION: 'test',
      SEGUE_REDIS_IMAGE: 'localhost/redis:test',
      SEGUE_REDIS_PASSWORD: password,
    }).map(([name, value]) => `${name}=${value}`);
    return run('images.sh', 'with', 'env', ...settings, 'podman-compose', '-p', 'segue-images', ...args);
  };

  beforeAll(async () => {
    for (const name of ['HTTP', 'GRPC', 'SECOND_HTTP', 'SECOND_GRPC']) ports[`SEGUE_${name}_PORT`] = await freePort();
    // podman-compose 1.0 does not wait for services that must have ended.
    await compose('up', '--detach', 'redis', 'model');
    await podman('wait', 'segue-images_model_1');
    await compose('up', '--detach');
    tell('composed');
  });
  afterAll(() => compose('down', '--volumes', '--timeout', '30'));

  it.each(['SEGUE_HTTP_PORT', 'SEGUE_SECOND_HTTP_PORT'])('answers a question at %s', async (port) => {
    const image = await readFile(join(ROOT, 'examples/coffee.jpg'));
    const answer = await ask(`http://127.0.0.1:${ports[port] ?? ''}`, image, 'Where is the drink?');
    tell(`“${answer.text}” with ${answer.segments.length} mask(s)`);
    expect(answer.segments.length).toBeGreaterThan(0);
  });

  it('lets nobody into Redis without the password', async () => {
    const inside = (...args: string[]) => podman('exec', 'segue-images_redis_1', ...args);
    await expect(inside('env', '-u', 'REDISCLI_AUTH', 'redis-cli', '-e', 'ping')).rejects.toThrow(/NOAUTH/);
    expect(await inside('redis-cli', '-e', 'ping')).toBe('PONG');
  });
});

it('does not deliver a model that was changed', async () => {
  const script = `
    const fs = require('node:fs');
    fs.cpSync('/segue/models/segue-smol', '/models/changed', { recursive: true });
    fs.appendFileSync('/models/changed/decoder.onnx', 'x');
    const { status, stderr } = require('node:child_process').spawnSync(process.execPath,
      ['/segue/copy-bundle.mjs', '/models/changed', '/models/segue-smol'], { encoding: 'utf8' });
    console.log(status, /decoder.onnx has SHA-256/.test(stderr), fs.existsSync('/models/segue-smol/manifest.json'));`;
  expect(await inModelImage(script)).toBe('1 true false');
});

it('leaves a model alone that is there already, whole: somebody may be serving it', async () => {
  const script = `
    const { spawnSync } = require('node:child_process');
    const copy = () => spawnSync(process.execPath,
      ['/segue/copy-bundle.mjs', '/segue/models/segue-smol', '/models/segue-smol'], { encoding: 'utf8' });
    console.log(JSON.parse(copy().stdout).msg, '-', JSON.parse(copy().stdout).msg);`;
  expect(await inModelImage(script)).toBe('bundle copied - the bundle is there');
});

/** What a script prints in the image of the model, in which the folder /models is empty. */
function inModelImage(script: string): Promise<string> {
  const options = ['--rm', '--user', '0', '--tmpfs', '/models', '--entrypoint', '/usr/local/bin/node'];
  return podman('run', ...options, 'localhost/segue/model:test', '-e', script);
}

/** Asks until somebody answers: workers may still be warming. */
async function ask(baseUrl: string, image: Uint8Array, instruction: string) {
  const client = new SegueClient({ baseUrl });
  const deadline = Date.now() + 180_000;
  for (;;) {
    try {
      return await client.segment({ image, instruction });
    } catch (error) {
      if (Date.now() > deadline || (error as { code?: string }).code !== 'UNAVAILABLE') throw error;
      await sleep(1_000);
    }
  }
}

async function freePort(): Promise<string> {
  const server = createServer().listen(0);
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  return String(port);
}
