interface Waiting {
  readonly alone: boolean;
  readonly enter: () => void;
}

/**
 * Lets runs in side by side, and a suspect alone: one whose process died in an earlier run and that may take its neighbours
 * with it. First come, first served.
 */
export class Quarantine {
  readonly #waiting: Waiting[] = [];
  #inside = 0;
  #suspectInside = false;

  /** Resolves when the run may begin. @returns tells that it has ended. */
  async enter(alone: boolean): Promise<() => void> {
    await new Promise<void>((enter) => {
      this.#waiting.push({ alone, enter });
      this.#admit();
    });
    return () => {
      this.#inside--;
      if (alone) this.#suspectInside = false;
      this.#admit();
    };
  }

  #admit(): void {
    for (;;) {
      const [next] = this.#waiting;
      if (!next || this.#suspectInside || (next.alone && this.#inside > 0)) return;
      this.#waiting.shift();
      this.#inside++;
      this.#suspectInside = next.alone;
      next.enter();
    }
  }
}
