import { startPeriodic } from './periodic.js';

/** A file is looked at so often; a Secret of Kubernetes is replaced by a link, of which no watcher hears. */
const LOOK_EVERY_MS = 1_000;

/** What is made of something that may change, as it is now. */
export interface Followed<T> {
  readonly current: T;
  stop(): Promise<void>;
}

export interface FollowOptions<Source, T> {
  readonly read: () => Promise<Source>;
  readonly isSame: (a: Source, b: Source) => boolean;
  /** @throws when the source cannot be used, for instance while it is half written. */
  readonly make: (source: Source) => T;
  readonly onChange?: (made: T) => void;
  /** Hears once of each change that cannot be used, and whenever reading fails. */
  readonly onError: (error: unknown) => void;
  readonly everyMs?: number;
}

/**
 * Reads something and follows its changes. What cannot be used is told of, and what was before it holds.
 * @throws what `read` or `make` throw at the start.
 */
export async function follow<Source, T>(options: FollowOptions<Source, T>): Promise<Followed<T>> {
  const { read, isSame, make, onChange, onError, everyMs = LOOK_EVERY_MS } = options;
  let source = await read();
  let current = make(source);
  let refused: { readonly source: Source } | undefined;
  const following = startPeriodic({
    everyMs,
    async run() {
      const next = await read();
      if (isSame(next, source) || (refused && isSame(next, refused.source))) return;
      refused = { source: next };
      current = make(next);
      [source, refused] = [next, undefined];
      onChange?.(current);
    },
    onError,
  });
  return {
    get current() {
      return current;
    },
    stop: () => following.stop(),
  };
}
