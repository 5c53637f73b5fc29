import { spawnSync } from 'node:child_process';
import { availableParallelism, totalmem } from 'node:os';
import type { SegueClient } from '@segue/client';
import { connect, type ServiceOptions } from './connect.js';
import { firstWrongMask } from './masks.js';

export interface DoctorOptions extends ServiceOptions {
  /** Folder of bundles, for `segue local`. */
  readonly models: string;
  readonly model: string;
}

/** What was found; a remedy where something is wrong. */
type Finding = string | { readonly found: string; readonly remedy: string };
type Check = readonly [what: string, look: () => Promise<Finding> | Finding];

const OLDEST_NODE = [20, 19] as const;
const GIB = 2 ** 30;

/** `segue doctor`: what a service and this machine have, and what to do where something is missing. @returns 1 if anything is. */
export async function doctor(options: DoctorOptions): Promise<number> {
  const { url, models, model } = options;
  const client = connect(options, { retries: 0, timeoutMs: 10_000 });
  const checks: readonly Check[] = [
    ['Node', node],
    ['machine', () => `${availableParallelism()} cores, ${(totalmem() / GIB).toFixed(0)} GiB memory`],
    ['redis-server', redis],
    ['pictures', imaging],
    ['model here', () => bundle(models, model)],
    ['service', () => service(url)],
    [
      'its models',
      async () => (await client.models.list()).map(({ name, version }) => `${name}@${version}`).join(', '),
    ],
    ['a question', async () => question(client)],
  ];
  let status = 0;
  for (const [what, look] of checks) {
    const finding = await Promise.resolve().then(look).catch(failed);
    const good = typeof finding === 'string';
    if (!good) status = 1;
    process.stdout.write(`${good ? 'ok  ' : 'BAD '} ${what.padEnd(13)} ${good ? finding : finding.found}\n`);
    if (!good) process.stdout.write(`     ${' '.repeat(13)} ${finding.remedy}\n`);
  }
  return status;
}

function failed(error: unknown): Finding {
  return { found: 'failed', remedy: error instanceof Error ? error.message : String(error) };
}

function node(): Finding {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  const [oldest, oldestMinor] = OLDEST_NODE;
  if (major > oldest || (major === oldest && minor >= oldestMinor)) return process.versions.node;
  return { found: process.versions.node, remedy: `Install Node ${OLDEST_NODE.join('.')} or newer.` };
}

async function redis(): Promise<Finding> {
  const { findRedis } = await import('@segue/local-system');
  try {
    const { stdout } = spawnSync(findRedis(), ['--version'], { encoding: 'utf8' });
    return /v=(\S+)/.exec(stdout)?.[1] ?? stdout.trim();
  } catch {
    return { found: 'not installed', remedy: 'Only a service on this machine needs it: apt-get install redis-server.' };
  }
}

/** Whether pictures can be read: the library for it is a native one. */
async function imaging(): Promise<Finding> {
  const [{ DEFAULT_PICTURE_LIMITS, decodePicture }, picture] = await Promise.all([
    import('@segue/imaging'),
    testPicture(),
  ]);
  const { width, height } = await decodePicture(picture, DEFAULT_PICTURE_LIMITS);
  return `can be read (${width} x ${height})`;
}

async function bundle(models: string, model: string): Promise<Finding> {
  const [{ loadBundle }, { join }] = await Promise.all([import('@segue/bundle'), import('node:path')]);
  const { id } = await loadBundle(join(models, model));
  return `${id}, its files are whole`;
}

async function service(url: string): Promise<Finding> {
  const ready = await fetch(`${url.replace(/\/+$/, '')}/healthz/ready`, { signal: AbortSignal.timeout(5_000) }).catch(
    () => undefined,
  );
  if (ready?.ok) return `ready at ${url}`;
  const found = ready ? `at ${url}, not ready (${ready.status})` : `nothing answers at ${url}`;
  return { found, remedy: 'Start one with npm start, or name another with --url or SEGUE_URL.' };
}

/** Asks about a photo that the program brings along, so that every stage is passed. */
async function question(client: SegueClient): Promise<Finding> {
  const startedAt = performance.now();
  const answer = await client.segment({ image: await testPicture(), instruction: 'What is in this picture?' });
  const ms = Math.round(performance.now() - startedAt);
  const wrong = firstWrongMask(answer);
  if (wrong !== undefined) return { found: wrong, remedy: 'Gateway and workers may be of different versions.' };
  return `answered in ${ms} ms`;
}

async function testPicture(): Promise<Uint8Array> {
  const { default: sharp } = await import('sharp');
  const create = { width: 64, height: 48, channels: 3, background: { r: 200, g: 120, b: 40 } } as const;
  return sharp({ create }).png().toBuffer();
}
