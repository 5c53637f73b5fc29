import type { Tensor } from '@segue/tensors';

export type Feeds = Readonly<Record<string, Tensor>>;
export type Fetches = Readonly<Record<string, Tensor>>;

export interface RunOptions {
  /**
   * Names of inputs whose buffers may be handed over instead of copied; the caller must not read them afterwards.
   * A tensor that does not own its whole buffer is copied all the same.
   */
  readonly transfer?: readonly string[];
  /**
   * Names of inputs that are lent: their buffers are moved, unreadable during the run, and come back untouched among the
   * fetches under the input's name. For large state that is kept between runs. A lent tensor owns its whole buffer; it
   * is lost when the run fails.
   */
  readonly lend?: readonly string[];
  /** Those for whom it runs, where they are others than the caller. */
  readonly within?: readonly AsyncContext[];
}

/** Does something as if it were done where the context was taken, by `AsyncLocalStorage.snapshot()`. */
export type AsyncContext = <T>(act: () => T) => T;

/** A loaded graph. Runs of one session are serial; `run` never blocks the event loop. */
export interface Session {
  /** @throws SegueError INTERNAL when the graph fails; the original error is the cause. */
  run(feeds: Feeds, options?: RunOptions): Promise<Fetches>;
}

/** Several graphs of one bundle that share a thread; closing it closes them all. */
export interface SessionGroup<K extends string = string> {
  readonly sessions: Readonly<Record<K, Session>>;
  close(): Promise<void>;
}
