import type { Stage } from '@segue/core';
import { SingleFlight } from '@segue/inference';
import type { Jobs, TensorSetRef } from '@segue/jobs';
import type { Logger } from '@segue/service';
import {
  startTensorHost,
  TensorClient,
  TensorDirectory,
  TensorStore,
  type PullOptions,
  type TensorHost,
} from '@segue/tensor-exchange';
import type { Tensor } from '@segue/tensors';
import type { WorkerMetrics } from './metrics.js';

type NamedTensors = Readonly<Record<string, Tensor>>;

const SHARED_PULL_LIMIT_MS = 30_000;

/** The settings that tensors need; `workerSettings()` declares them. */
export interface TensorsConfig {
  readonly host: string;
  readonly tensorPort: number;
  readonly tensorHost: string;
  readonly tensorCacheBytes: number;
}

/** A worker's way to the tensors that other workers hold. */
export class Tensors {
  readonly #directory: TensorDirectory;
  readonly #client: TensorClient;
  readonly #kept: TensorStore;
  readonly #pulling = new SingleFlight<string, NamedTensors>();
  readonly #metrics: WorkerMetrics;
  readonly #config: TensorsConfig;

  constructor(config: TensorsConfig, jobs: Jobs, metrics: WorkerMetrics) {
    this.#directory = new TensorDirectory(jobs.redis);
    this.#client = new TensorClient({ directory: this.#directory });
    this.#kept = new TensorStore({ maxBytes: config.tensorCacheBytes });
    this.#metrics = metrics;
    this.#config = config;
  }

  /** A live worker that holds these tensors. */
  ownerOf(key: string): Promise<string | undefined> {
    return this.#directory.find(key);
  }

  /**
   * One tensor of a set.
   * @throws SegueError UNAVAILABLE with reason TENSOR_GONE when its owner does not hold it any more.
   */
  async pull(from: Stage, ref: TensorSetRef, name: string, options: PullOptions): Promise<Tensor> {
    const { [name]: tensor } = await this.#pull(from, ref, [name], options);
    if (!tensor) throw new Error(`the pull of ${name} ended without it`);
    return tensor;
  }

  /**
   * Several tensors of a set. Keeps what it pulled, so that the next question about the picture moves nothing. Tasks that ask for one
   * picture at the same time share one pull, which therefore heeds no single task's signal or deadline.
   */
  async pullOnce(from: Stage, ref: TensorSetRef, names: readonly string[]): Promise<NamedTensors> {
    const kept = this.#kept.get(ref.key);
    this.#metrics.cacheLookup('tensors', kept !== undefined);
    if (kept) return kept;
    return this.#pulling.run(ref.key, async () => {
      const pulled = await this.#pull(from, ref, names, { deadlineAtMs: Date.now() + SHARED_PULL_LIMIT_MS });
      this.#kept.put(ref.key, pulled);
      return pulled;
    });
  }

  /** Opens this worker's own tensors to others. */
  host(logger: Logger): Promise<TensorHost> {
    const { host, tensorPort, tensorHost, tensorCacheBytes } = this.#config;
    return startTensorHost({
      directory: this.#directory,
      maxBytes: tensorCacheBytes,
      listenHost: host,
      port: tensorPort,
      host: tensorHost,
      onError: (error) => logger.error({ err: error }, 'handing out tensors'),
    });
  }

  close(): void {
    this.#client.close();
    this.#kept.clear();
  }

  async #pull(
    from: Stage,
    { key, owner }: TensorSetRef,
    names: readonly string[],
    options: PullOptions,
  ): Promise<NamedTensors> {
    const tensors = await this.#client.pull(owner, key, names, options);
    this.#metrics.pulled(from, tensors);
    return tensors;
  }
}
