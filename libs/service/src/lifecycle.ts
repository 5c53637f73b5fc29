/**
 * State of a service, as its health endpoints tell it:
 * - `starting`: wiring, connecting;
 * - `warming`: loading and trying out what it serves;
 * - `ready`: takes work;
 * - `draining`: takes no more work, finishes or hands back what it holds;
 * - `stopped`.
 */
export const WORKER_STATES = ['starting', 'warming', 'ready', 'draining', 'stopped'] as const;
export type WorkerState = (typeof WORKER_STATES)[number];

const NEXT: Readonly<Record<WorkerState, readonly WorkerState[]>> = {
  starting: ['warming', 'draining'],
  warming: ['ready', 'draining'],
  ready: ['draining'],
  draining: ['stopped'],
  stopped: [],
};

/** The state machine of one process. */
export class Lifecycle {
  #state: WorkerState = 'starting';
  /** What a service that is warming waits for, in a sentence for operators. */
  waitsFor: string | undefined;
  readonly #listeners = new Set<(state: WorkerState) => void>();

  get state(): WorkerState {
    return this.#state;
  }

  /** @throws Error when the machine has no such step: a defect of the caller. */
  to(state: WorkerState): void {
    if (!NEXT[this.#state].includes(state)) throw new Error(`A service that is ${this.#state} cannot become ${state}.`);
    this.#state = state;
    this.waitsFor = undefined;
    for (const listener of this.#listeners) listener(state);
  }

  /** Calls the listener after each step from now on; the result ends that. */
  onChange(listener: (state: WorkerState) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}
