import { readFile } from 'node:fs/promises';
import { posix } from 'node:path';
import type { Bundle, Graph } from '@segue/bundle';
import { SegueError } from '@segue/core';
import type { Session, SessionGroup } from '@segue/inference';
import { CPU, type Device } from './device.js';
import { differences } from './declarations.js';
import { externalFiles } from './external-files.js';
import type { GraphFile } from './protocol.js';
import { cannotLoad, SessionThread, type SessionThreadOptions } from './session-thread.js';

export interface OpenSessionsOptions extends Pick<SessionThreadOptions, 'hardLimitMs' | 'onFatal'> {
  /** Threads inside one run; over all groups of a machine, no more than its cores. */
  readonly threads: number;
  /**
   * Rearrange weights for speed when loading (default). Without it, weights in external files stay mapped from the disk
   * and processes on one machine share them.
   */
  readonly prepack?: boolean;
  /** What the graphs run on; the CPU unless given. */
  readonly device?: Device;
  /** Ends the loading after the graph that is being loaded. */
  readonly signal?: AbortSignal;
}

/**
 * Loads graphs of a bundle into a thread of their own; their runs are serial.
 * @throws SegueError INTERNAL when a graph cannot be loaded or is not what the manifest says, UNAVAILABLE when the signal aborted.
 */
export async function openSessions<K extends string>(
  bundle: Bundle,
  keys: readonly K[],
  { threads, prepack = true, device = CPU, hardLimitMs, onFatal, signal }: OpenSessionsOptions,
): Promise<SessionGroup<K>> {
  const wanted = new Map<string, Graph>(keys.map((key) => [key, graphOf(bundle, key)]));
  const files = [...wanted].map(([key, graph]): [string, GraphFile] => {
    return [key, { path: bundle.file(graph.file), outputs: graph.outputs.map(({ name }) => name) }];
  });
  for (const graph of wanted.values()) checkGraph(bundle, graph, await undeclaredWeights(bundle, graph));
  const graphFiles = Object.fromEntries(files);
  const thread = new SessionThread({ graphs: graphFiles, threads, prepack, device, hardLimitMs, onFatal });
  const end = (): void => void thread.close();
  signal?.addEventListener('abort', end, { once: true });
  if (signal?.aborted) end();
  try {
    const actual = await thread.ready;
    for (const [key, graph] of wanted) checkGraph(bundle, graph, differences(graph, actual[key] ?? NOTHING));
  } catch (error) {
    await thread.close();
    throw error;
  } finally {
    signal?.removeEventListener('abort', end);
  }
  const sessions = Object.fromEntries(
    keys.map((key): [K, Session] => [key, { run: (feeds, options) => thread.run(key, feeds, options) }]),
  ) as Record<K, Session>;
  return { sessions, close: () => thread.close() };
}

const NOTHING = { inputs: [], outputs: [] };

function graphOf({ id, manifest }: Bundle, key: string): Graph {
  const graph = manifest.graphs[key];
  if (!graph) throw new SegueError('INTERNAL', `The bundle ${id} has no graph "${key}".`);
  return graph;
}

/** Weights are read from files whose hashes the manifest holds, and from no others that a graph may name. */
async function undeclaredWeights(bundle: Bundle, { file, externalData }: Graph): Promise<string[]> {
  const path = bundle.file(file);
  const named = await readFile(path)
    .then(externalFiles)
    .catch((cause: unknown) => Promise.reject(cannotLoad(path, cause)));
  for (const declared of externalData) named.delete(posix.relative(posix.dirname(file), declared.file));
  return [...named].map((name) => `weights in "${name}" are in the graph but not in the manifest`);
}

function checkGraph({ id }: Bundle, { file }: Graph, found: readonly string[]): void {
  if (found.length === 0) return;
  throw new SegueError(
    'INTERNAL',
    `${file} of ${id} is not what its manifest says. Export the bundle again:\n  ${found.join('\n  ')}`,
    {
      details: { differences: found },
    },
  );
}
