import { DEVICE_PATTERN } from '@segue/onnx';
import { host, integer, jobSettings, port, serviceSettings, text, textLike } from '@segue/service';

/** Settings of a stage worker; the port and how many tasks it takes at once differ from stage to stage. */
export const workerSettings = (defaults: { readonly httpPort: number; readonly concurrency: number }) => ({
  ...serviceSettings(defaults),
  ...jobSettings,
  /**
   * PEM files by which workers know one another when they hand tensors on: all three, or none for connections in the clear. The
   * certificate serves both sides; the CA is the workers' own.
   */
  internalCertFile: text(''),
  internalKeyFile: text(''),
  internalCaFile: text(''),
  /** Name in the workers' certificates, where they are reached by addresses that are not in them. */
  internalPeerName: text(''),
  /** Tasks in hand at once. */
  concurrency: integer(defaults.concurrency, { min: 1, max: 256 }),
  /** What the graphs run on: a GPU that can be used, else the CPU, unless one is named. */
  device: textLike(DEVICE_PATTERN, 'must be auto, cpu, cuda or cuda:n, where n counts GPUs from 0', 'auto'),
  /** Threads inside one run of a graph; no more than the CPU limit. */
  threads: integer(1, { min: 1, max: 64 }),
  /** Longest one run of a graph may take in milliseconds; a longer one ends the process and the queue gives its tasks away. */
  runLimitMs: integer(60_000, { min: 1 }),
});

/** Settings of a worker that keeps tensors of pictures. */
export const tensorCacheSettings = {
  /** Tensors kept in memory at most. */
  tensorCacheBytes: integer(512 * 1024 * 1024, { min: 1 }),
};

/** Settings of a worker that hands out tensors. */
export const tensorHostSettings = {
  ...tensorCacheSettings,
  /** Port that hands out tensors; 0 takes a free one. */
  tensorPort: port(50061),
  /** Address of this process as other workers reach it. */
  tensorHost: host('127.0.0.1'),
};
