const STORED_AS = 'segue.asked';
const KEPT = 50;

/** Questions of this browser, gone through with the arrow keys as in a terminal. */
export class AskedBefore {
  #questions = read();
  /** Steps back from what is being typed; 0 is that itself. */
  #back = 0;
  #typed = '';

  add(question: string): void {
    this.#questions = [...this.#questions.filter((earlier) => earlier !== question), question].slice(-KEPT);
    this.#back = 0;
    try {
      localStorage.setItem(STORED_AS, JSON.stringify(this.#questions));
    } catch {
      // A browser that keeps nothing still goes back through what was asked since the page was loaded.
    }
  }

  /** The question one step back (1) or forth (-1) from `shown`; undefined at either end. */
  step(direction: 1 | -1, shown: string): string | undefined {
    const back = this.#back + direction;
    if (back < 0 || back > this.#questions.length) return undefined;
    if (this.#back === 0) this.#typed = shown;
    this.#back = back;
    return back === 0 ? this.#typed : this.#questions.at(-back);
  }
}

function read(): string[] {
  try {
    const stored: unknown = JSON.parse(localStorage.getItem(STORED_AS) ?? '[]');
    return Array.isArray(stored) ? stored.filter((question) => typeof question === 'string') : [];
  } catch {
    return [];
  }
}
