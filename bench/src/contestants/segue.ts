import { readdirSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { connectOverGrpc, startRedis } from '@segue/testing';
import { freePort, Program, type ProcessTree } from '../processes.js';
import { BUNDLE, ROOT } from '../workspace.js';
import type { Deployment } from './contestant.js';
import { grpcAsk, grpcStream, httpAsk, httpStream } from './interfaces.js';

const APPS = readdirSync(join(ROOT, 'apps'));

/** Segue as it is run: Redis and the four apps, each a process, with the settings they have by default. */
export async function startSegue(): Promise<Deployment> {
  const redis = await startRedis();
  const grpcPort = await freePort();
  const httpPort = await freePort();
  const env = {
    SEGUE_REDIS_URL: redis.url,
    SEGUE_MODELS_DIR: dirname(BUNDLE),
    SEGUE_MODEL: basename(BUNDLE),
    SEGUE_HOST: '127.0.0.1',
    SEGUE_GRPC_PORT: String(grpcPort),
    SEGUE_TENSOR_PORT: '0',
    SEGUE_LOG_LEVEL: 'warn',
  };
  const programs = await Promise.all(
    APPS.map(async (app) => {
      const port = String(app === 'gateway' ? httpPort : await freePort());
      const main = join(ROOT, 'apps', app, 'dist/main.js');
      return { port, program: new Program(app, process.execPath, [main], { ...env, SEGUE_HTTP_PORT: port }) };
    }),
  );
  const stop = async () => {
    await Promise.all(programs.map(({ program }) => program.stop()));
    await redis.stop();
  };
  try {
    const ready = programs.map(({ port, program }) => program.ready(`http://127.0.0.1:${port}/healthz/ready`));
    await Promise.all(ready);
  } catch (error) {
    await stop();
    throw error;
  }
  const processes: ProcessTree[] = [...programs.map(({ program }) => program), { name: 'redis', pid: redis.pid }];
  const client = connectOverGrpc(`127.0.0.1:${grpcPort}`);
  const url = `http://127.0.0.1:${httpPort}/v1/segment`;
  return {
    contestants: [
      { name: 'Segue gRPC', ask: grpcAsk(client), stream: grpcStream(client), processes },
      { name: 'Segue HTTP', ask: httpAsk(url), stream: httpStream(url), processes },
    ],
    stop,
  };
}
