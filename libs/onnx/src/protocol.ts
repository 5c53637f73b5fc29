import type { Fetches } from '@segue/inference';
import type { Tensor } from '@segue/tensors';
import type { Device } from './device.js';

/** What a session thread is started with. */
export interface ThreadData {
  readonly graphs: Readonly<Record<string, GraphFile>>;
  readonly threads: number;
  readonly prepack: boolean;
  readonly device: Device;
  /** Whether the CPU multiplies 8-bit numbers exactly by itself. */
  readonly exactProducts: boolean;
}

export interface GraphFile {
  /** Weights in other files are looked for in its folder. */
  readonly path: string;
  /** Names of the outputs to fetch. */
  readonly outputs: readonly string[];
}

/** An input or output as the graph declares it. An empty shape may also mean that the graph does not say. */
export interface Declared {
  readonly name: string;
  readonly dtype: string;
  readonly shape: readonly (number | string)[];
}

export interface GraphIo {
  readonly inputs: readonly Declared[];
  readonly outputs: readonly Declared[];
}

/** To the thread. Runs are answered in their order. */
export type Request =
  | {
      readonly type: 'run';
      readonly graph: string;
      readonly feeds: Readonly<Record<string, Tensor>>;
      /** Names of the feeds that go back with the answer. */
      readonly lend: readonly string[];
    }
  | { readonly type: 'close' };

/** From the thread: first `ready` or `unusable`, then one answer for each run. */
export type Reply =
  | { readonly type: 'ready'; readonly graphs: Readonly<Record<string, GraphIo>> }
  | { readonly type: 'unusable'; readonly graph: string; readonly error: unknown }
  | { readonly type: 'done'; readonly fetches: Fetches }
  | { readonly type: 'failed'; readonly error: unknown };
