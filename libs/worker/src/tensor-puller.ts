import type { PullOptions, TensorSet, TensorSetRef, TensorSource } from '@segue/stages';
import { TensorClient, type TensorClientOptions, type TensorDirectory } from '@segue/tensor-exchange';
import type { WorkerMetrics } from './metrics.js';

/** Pulls tensors from the encoder-workers, and counts what it pulls. */
export class TensorPuller implements TensorSource {
  readonly #client: TensorClient;
  readonly #metrics: WorkerMetrics;

  constructor(directory: TensorDirectory, metrics: WorkerMetrics, tls: TensorClientOptions['tls']) {
    this.#client = new TensorClient({ directory, tls });
    this.#metrics = metrics;
  }

  async pull({ owner, key }: TensorSetRef, names: readonly string[], options: PullOptions): Promise<TensorSet> {
    const tensors = await this.#client.pull(owner, key, names, options);
    this.#metrics.pulled('encode', tensors);
    return tensors;
  }

  close(): void {
    this.#client.close();
  }
}
