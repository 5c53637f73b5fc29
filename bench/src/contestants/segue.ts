import { APPS, LocalSystem, type LocalSystemOptions } from '@segue/local-system';
import { connectOverGrpc } from '@segue/testing';
import { BUNDLE } from '../workspace.js';
import type { Deployment } from './contestant.js';
import { grpcAsk, grpcStream, httpAsk, httpStream } from './interfaces.js';

/** Segue as it is run: Redis and the four apps, each a process, with the settings they have by default. */
export async function startSegue(nodeArguments?: LocalSystemOptions['nodeArguments']): Promise<Deployment> {
  const env = { SEGUE_LOG_LEVEL: 'warn' };
  const system = await LocalSystem.start({ bundleDir: BUNDLE, env, ...(nodeArguments && { nodeArguments }) });
  const { url, grpcAddress } = system.app('gateway');
  const client = connectOverGrpc(grpcAddress);
  const segment = `${url}/v1/segment`;
  const processes = system.programs;
  return {
    contestants: [
      { name: 'Segue gRPC', ask: grpcAsk(client), stream: grpcStream(client), processes },
      { name: 'Segue HTTP', ask: httpAsk(segment), stream: httpStream(segment), processes },
    ],
    async starts() {
      const tookMs: Record<string, number> = {};
      for (const kind of APPS) {
        const begunAtMs = performance.now();
        const { name } = await system.add(kind);
        tookMs[kind] = performance.now() - begunAtMs;
        await system.remove(name);
      }
      return tookMs;
    },
    stop: () => system.stop(),
  };
}
