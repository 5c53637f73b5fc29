/**
 * Bytes under names, kept outside of Redis. A name is two characters, `/`, and up to 200 more, of `a` to `z`, `0` to `9` and `-`.
 * What `put`, `get` and `delete` throw: SegueError UNAVAILABLE with reason STORE_AWAY for what passes with time, the signal's own
 * reason once that is aborted, anything else for a defect.
 */
export interface Blobs {
  /** How operators call it, without secrets: `s3://bucket/prefix`. */
  readonly where: string;
  /**
   * Afterwards all of it is there; before, nothing.
   * @throws SegueError RESOURCE_EXHAUSTED where there is no room.
   */
  put(name: string, bytes: Uint8Array, signal?: AbortSignal): Promise<void>;
  /** Undefined where there is none of this name. */
  get(name: string, signal?: AbortSignal): Promise<Buffer | undefined>;
  /** None of this name is no error. */
  delete(name: string): Promise<void>;
  /** The names there are, some at a time. What others have put beside ours is left out. */
  list(): AsyncIterable<readonly string[]>;
  /**
   * Tries to read, and to write where that is wanted.
   * @returns what keeps it from it, in a sentence for operators that says what to do; undefined where nothing does.
   */
  problem(access: 'read' | 'write'): Promise<string | undefined>;
  close(): void;
}
