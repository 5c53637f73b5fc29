import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { anyPort, publicPort } from './ports.js';
import type { ManagedProcess, ProcessGroup, ProcessOptions } from './processes.js';
import { Advice } from './terminal.js';
import { ROOT } from './workspace.js';

const START_TIMEOUT_MS = 180_000;
const MODELS_DIR = process.env['SEGUE_MODELS_DIR'] ?? join(ROOT, 'models');

/** Where the running service answers. */
export interface ServiceAddresses {
  readonly httpUrl: string;
  /** host:port */
  readonly grpcAddress: string;
}

/** Starts the four apps as processes of this machine and waits until all are ready. */
export async function startApps(redisUrl: string, group: ProcessGroup): Promise<ServiceAddresses> {
  const httpPort = await publicPort('SEGUE_HTTP_PORT', 8080, 'HTTP');
  const grpcPort = await publicPort('SEGUE_GRPC_PORT', 50051, 'gRPC');
  const common = {
    SEGUE_HOST: '127.0.0.1',
    SEGUE_LOG_FORMAT: 'pretty',
    SEGUE_MODELS_DIR: MODELS_DIR,
    SEGUE_REDIS_URL: redisUrl,
    SEGUE_TENSOR_HOST: '127.0.0.1',
    SEGUE_TENSOR_PORT: '0',
  };
  const start = async (name: string, colour: ProcessOptions['colour'], own: Record<string, string> = {}) => {
    const port = own['SEGUE_HTTP_PORT'] ?? String(await anyPort());
    const main = join(ROOT, 'apps', name, 'dist/main.js');
    const env = { ...common, ...own, SEGUE_HTTP_PORT: port };
    const app = group.start({ name, colour, command: [process.execPath, '--enable-source-maps', main], env });
    return { app, readyUrl: `http://127.0.0.1:${port}/healthz/ready` };
  };
  const started = [
    await start('encoder-worker', 'cyan'),
    await start('llm-worker', 'magenta'),
    await start('decoder-worker', 'yellow'),
    await start('gateway', 'blue', { SEGUE_HTTP_PORT: String(httpPort), SEGUE_GRPC_PORT: String(grpcPort) }),
  ];
  await Promise.all(started.map(({ app, readyUrl }) => becomesReady(app, readyUrl)));
  return {
    httpUrl: `http://127.0.0.1:${httpPort}`,
    grpcAddress: `127.0.0.1:${grpcPort}`,
  };
}

/** @throws Advice when the bundle that is to be served is not there. */
export function checkModel(): void {
  const model = process.env['SEGUE_MODEL'] ?? 'segue-smol';
  if (existsSync(join(MODELS_DIR, model, 'manifest.json'))) return;
  throw new Advice(
    `There is no model bundle in ${join(MODELS_DIR, model)}. Train and export one (see training/README.md), or name ` +
      'another with SEGUE_MODELS_DIR and SEGUE_MODEL.',
  );
}

async function becomesReady(app: ManagedProcess, url: string): Promise<void> {
  const deadline = Date.now() + START_TIMEOUT_MS;
  while (!(await answersOk(url))) {
    if (app.ended !== undefined) throw new Advice(`${app.name} ${app.ended}: see its lines above.`);
    if (Date.now() > deadline) throw new Advice(`${app.name} was not ready within ${START_TIMEOUT_MS / 1000} s.`);
    await sleep(200);
  }
}

async function answersOk(url: string): Promise<boolean> {
  try {
    return (await fetch(url, { signal: AbortSignal.timeout(2000) })).ok;
  } catch {
    return false; // nobody listens yet
  }
}
