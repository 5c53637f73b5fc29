import { performance } from 'node:perf_hooks';
import type { Bundle } from '@segue/bundle';
import type { Feeds, Fetches, RunOptions, SessionGroup } from '@segue/inference';
import type { DType, Tensor } from '@segue/tensors';
import { InferenceSession, Tensor as OrtTensor } from 'onnxruntime-node';

const spent = new Map<string, number>();

/** Milliseconds that all runs of these graphs by direct sessions have taken so far. */
export function spentMs(keys: readonly string[]): number {
  return keys.reduce((sum, key) => sum + (spent.get(key) ?? 0), 0);
}

/** Sessions in the calling thread, which a run blocks: what ONNX Runtime takes by itself, one thread a session. */
export async function openDirectSessions(bundle: Bundle, keys: readonly string[]): Promise<SessionGroup> {
  const opened = await Promise.all(
    keys.map(async (key) => {
      const graph = bundle.manifest.graphs[key];
      if (!graph) throw new Error(`${bundle.id} has no graph "${key}"`);
      const session = await InferenceSession.create(bundle.file(graph.file), {
        intraOpNumThreads: 1,
        interOpNumThreads: 1,
        logSeverityLevel: 4,
      });
      return [key, session] as const;
    }),
  );
  const run = (key: string, session: InferenceSession) => (feeds: Feeds, options?: RunOptions) =>
    timed(key, session, feeds, options);
  return {
    sessions: Object.fromEntries(opened.map(([key, session]) => [key, { run: run(key, session) }])),
    close: async () => {
      for (const [, session] of opened) await session.release();
    },
  };
}

async function timed(
  key: string,
  session: InferenceSession,
  feeds: Feeds,
  { lend = [] }: RunOptions = {},
): Promise<Fetches> {
  const inputs = Object.entries(feeds).map(
    ([name, { dtype, data, shape }]) => [name, new OrtTensor(dtype, data as Float32Array, shape)] as const,
  );
  const startedAt = performance.now();
  const results = await session.run(Object.fromEntries(inputs) as InferenceSession.OnnxValueMapType);
  spent.set(key, (spent.get(key) ?? 0) + performance.now() - startedAt);
  const fetches: Record<string, Tensor> = {};
  for (const [name, { type, dims, data }] of Object.entries(results)) {
    fetches[name] = { dtype: type as DType, shape: dims, data: data as Tensor['data'] };
  }
  for (const name of lend) if (feeds[name]) fetches[name] = feeds[name];
  return fetches;
}
