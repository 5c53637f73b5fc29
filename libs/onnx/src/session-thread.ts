import { Worker } from 'node:worker_threads';
import { SegueError } from '@segue/core';
import type { Feeds, Fetches, RunOptions } from '@segue/inference';
import type { Tensor, TensorData } from '@segue/tensors';
import { hasExactProducts } from './exact-products.js';
import { watchRun } from './run-watch.js';
import type { GraphIo, Reply, Request, ThreadData } from './protocol.js';

export interface SessionThreadOptions extends Omit<ThreadData, 'exactProducts'> {
  /** Longest that one run may take, in milliseconds in which the machine had time for it. */
  readonly hardLimitMs: number;
  /**
   * The thread is of no more use: a run passed its limit, or the thread died. A native run cannot be stopped (ending its
   * thread aborts the process), so the callback is expected to end the process.
   */
  readonly onFatal: (error: SegueError) => void;
}

interface PendingRun {
  readonly graph: string;
  readonly resolve: (fetches: Fetches) => void;
  readonly reject: (error: SegueError) => void;
}

/** The owner's end of a session thread: sends runs, matches answers, watches the limit. */
export class SessionThread {
  /** What the loaded graphs declare. Rejects when a graph cannot be loaded, or when the thread is closed before. */
  readonly ready: Promise<Readonly<Record<string, GraphIo>>>;
  readonly #options: SessionThreadOptions;
  readonly #worker: Worker;
  readonly #exited: Promise<void>;
  /** In the order of their answers; the first is running. */
  readonly #pending: PendingRun[] = [];
  #unwatch: (() => void) | undefined;
  #closing = false;
  #death: SegueError | undefined;

  constructor(options: SessionThreadOptions) {
    this.#options = options;
    const { graphs, threads, prepack, device } = options;
    const workerData: ThreadData = { graphs, threads, prepack, device, exactProducts: hasExactProducts() };
    this.#worker = new Worker(new URL('./session-worker.js', import.meta.url), { workerData, execArgv: [] });
    this.ready = new Promise((resolve, reject) => {
      this.#worker.on('message', (reply: Reply) => {
        if (reply.type === 'ready') resolve(reply.graphs);
        else if (reply.type === 'unusable') reject(cannotLoad(graphs[reply.graph]?.path, reply.error));
        else this.#settle(reply);
      });
      this.#worker.once('error', (cause) => reject(this.#die(cause)));
      this.#worker.once('exit', () => reject(unloading()));
    });
    this.#exited = new Promise((resolve) => {
      this.#worker.once('exit', (status) => {
        if (!this.#closing || this.#pending.length > 0)
          this.#die(new Error(`the session thread ended with status ${status}`));
        resolve();
      });
    });
  }

  run(graph: string, feeds: Feeds, options: RunOptions = {}): Promise<Fetches> {
    if (this.#closing) return Promise.reject(unloading());
    if (this.#death) return Promise.reject(this.#death);
    return new Promise((resolve, reject) => {
      this.#post(graph, feeds, options);
      this.#pending.push({ graph, resolve, reject });
      if (this.#pending.length === 1) this.#watch();
    });
  }

  /** Lets the runs in flight end, then unloads the graphs. Those that are not loaded yet stay unloaded. */
  close(): Promise<void> {
    if (!this.#closing && !this.#death) {
      this.#closing = true;
      this.#worker.postMessage({ type: 'close' } satisfies Request);
    }
    return this.#exited;
  }

  #post(graph: string, feeds: Feeds, { transfer = [], lend = [] }: RunOptions): void {
    const moved = [...transfer, ...lend];
    const sent: Record<string, Tensor> = {};
    for (const [name, tensor] of Object.entries(feeds)) {
      const { dtype, shape, data } = tensor;
      sent[name] = { dtype, shape, data: moved.includes(name) && ownsBuffer(data) ? data : copy(data) };
    }
    const buffers = Object.values(sent).map(({ data }) => data.buffer as ArrayBuffer);
    this.#worker.postMessage({ type: 'run', graph, feeds: sent, lend } satisfies Request, [...new Set(buffers)]);
  }

  #settle(reply: Reply & { type: 'done' | 'failed' }): void {
    const run = this.#pending.shift();
    this.#unwatch?.();
    if (this.#pending.length > 0) this.#watch();
    if (reply.type === 'done') run?.resolve(reply.fetches);
    else run?.reject(SegueError.from(reply.error));
  }

  /** Starts the clock of the first pending run. */
  #watch(): void {
    const { hardLimitMs, onFatal } = this.#options;
    const { graph } = this.#pending[0] ?? {};
    this.#unwatch = watchRun({
      limitMs: hardLimitMs,
      onOver: () =>
        onFatal(new SegueError('INTERNAL', `A run of the graph ${graph} took more than ${hardLimitMs} ms.`)),
    });
  }

  #die(cause: unknown): SegueError {
    if (this.#death) return this.#death;
    this.#unwatch?.();
    this.#death = SegueError.from(cause);
    for (const run of this.#pending.splice(0)) run.reject(this.#death);
    this.#options.onFatal(this.#death);
    return this.#death;
  }
}

export function cannotLoad(path: string | undefined, cause: unknown): SegueError {
  return new SegueError('INTERNAL', `The graph ${path} cannot be loaded.`, { cause });
}

function unloading(): SegueError {
  return new SegueError('UNAVAILABLE', 'The model is being unloaded. Try again.');
}

function ownsBuffer({ buffer, byteLength }: TensorData): boolean {
  return buffer instanceof ArrayBuffer && buffer.byteLength === byteLength;
}

/** A copy of the elements alone; posting a view would copy its whole buffer. */
function copy(data: TensorData): TensorData {
  return data.slice();
}
